"""Networks on time series, volumes and text without transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.architecture import CLASSES, VOCABULARY, Architecture, floats, tokens


def conv1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 12, 3, dilation=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(12, CLASSES),
    )  # fmt: skip


class Causal(nn.Module):
    """A residual block of a temporal convolutional network: padded on the left only (Bai et al. 2018)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv, self.padding = nn.Conv1d(width, width, 3, dilation=dilation), 2 * dilation

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.conv(nn.functional.pad(x, (self.padding, 0))))


class Tcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(4, 8, 1), Causal(8, 1), Causal(8, 2))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[:, :, -1])


def conv3d() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(2, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, CLASSES),
    )  # fmt: skip


class Recurrent(nn.Module):
    """A recurrent layer over [N, time, features]; its last output is classified."""

    def __init__(self, layer: nn.Module, width: int, last: bool = True, words: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 6) if words else nn.Identity()
        self.layer, self.head, self.last = layer, nn.Linear(width, CLASSES), last

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.layer(self.embedding(x))
        return self.head(y[:, -1] if self.last else y.mean(1))


class FinalState(nn.Module):
    """An LSTM of which the final hidden states of both directions are classified, not its output."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(6, 5, batch_first=True, bidirectional=True), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.layer(x)
        return self.head(torch.cat([hidden[0], hidden[1]], 1))


class CellByHand(nn.Module):
    """A recurrent network unrolled in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(6, 5), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], 5)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state)


class TextCnn(nn.Module):
    """Word vectors, convolutions of three widths, the maximum over time (Kim 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.convs = nn.ModuleList(nn.Conv1d(8, 6, width) for width in (2, 3, 4))
        self.head = nn.Linear(18, CLASSES)

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.embedding(input_ids).transpose(1, 2)
        return self.head(torch.cat([torch.relu(conv(x)).amax(2) for conv in self.convs], 1))


class BagOfWords(nn.Module):
    """fastText: the mean of the word vectors (Joulin et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(VOCABULARY, 8), nn.Linear(8, CLASSES)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.embedding(input_ids).mean(1))


class AttentionPooling(nn.Module):
    """A learned softmax over time decides how much each step counts (Yang et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.score, self.head = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.body(x))
        return self.head((torch.softmax(self.score(x), 1) * x).sum(1))


def lstm(**options: bool | int) -> nn.Module:
    return nn.LSTM(6, 5, batch_first=True, **options)


series = floats(9, 6)
ARCHITECTURES = [
    Architecture("conv1d", conv1d, floats(4, 20), dynamic=True),
    Architecture("tcn", Tcn, floats(4, 20)),
    Architecture("conv3d", conv3d, floats(2, 8, 8, 8)),
    Architecture("lstm", lambda: Recurrent(lstm(), 5), series, dynamic=True),
    Architecture("lstm-stacked", lambda: Recurrent(lstm(num_layers=2), 5, last=False), series),
    Architecture("lstm-bidirectional", lambda: Recurrent(lstm(bidirectional=True), 10, last=False), series),
    Architecture("lstm-final-state", FinalState, series),
    Architecture(
        "lstm-text", lambda: Recurrent(lstm(), 5, words=True), tokens, lambda m: m.get_submodule("embedding")
    ),
    Architecture("gru", lambda: Recurrent(nn.GRU(6, 5, batch_first=True), 5), series),
    Architecture(
        "gru-bidirectional",
        lambda: Recurrent(nn.GRU(6, 5, batch_first=True, bidirectional=True), 10, last=False),
        series,
    ),
    Architecture("rnn", lambda: Recurrent(nn.RNN(6, 5, batch_first=True), 5), series),
    Architecture(
        "rnn-relu", lambda: Recurrent(nn.RNN(6, 5, nonlinearity="relu", batch_first=True), 5), series
    ),
    Architecture("gru-unrolled", CellByHand, series),
    Architecture("textcnn", TextCnn, tokens, lambda m: m.get_submodule("embedding")),
    Architecture("bag-of-words", BagOfWords, tokens, lambda m: m.get_submodule("embedding")),
    Architecture("attention-pooling", AttentionPooling, floats(9, 4)),
]
