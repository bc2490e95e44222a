"""Text classifiers of the transformers library, tiny and with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers
from torch import Tensor, nn

from zoo.architecture import CLASSES, VOCABULARY, Architecture, masked_tokens


class TextClassifier(nn.Module):
    """The library's model with token ids and mask as inputs and the logits as its only output."""

    def __init__(self, name: str, attention: str | None, **options: Any) -> None:
        super().__init__()
        common = {"vocab_size": VOCABULARY, "pad_token_id": 0, "num_labels": CLASSES, "use_cache": False}
        config = getattr(transformers, f"{name}Config")(**{**common, **options})
        model = getattr(transformers, f"{name}ForSequenceClassification")
        extra = {"attn_implementation": attention} if attention else {}
        self.model = model._from_config(config, **extra)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


class T5Encoder(nn.Module):
    """T5's encoder, the mean over the tokens that are not padding, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        config = transformers.T5Config(
            vocab_size=VOCABULARY, d_model=12, d_kv=4, d_ff=20, num_layers=2, num_heads=3, use_cache=False,
            feed_forward_proj="gated-gelu",
        )  # fmt: skip
        self.model = transformers.T5EncoderModel(config)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask[..., None].to(hidden.dtype)
        return self.head((hidden * mask).sum(1) / mask.sum(1))


_BERT: dict[str, Any] = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
    "max_position_embeddings": 16,
}  # fmt: skip
_LLAMA: dict[str, Any] = {**_BERT, "num_key_value_heads": 1, "head_dim": 4}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2}
#: with a choice of attention implementations
ATTENTION: dict[str, dict[str, Any]] = {
    "Bert": _BERT,
    "DistilBert": {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 16},
    "Roberta": {**_BERT, **_ENDS},
    "Albert": {**_BERT, "embedding_size": 8},
    "Electra": {**_BERT, "embedding_size": 8},
    "GPT2": {"n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 16, **_ENDS},
    "Llama": {**_LLAMA, **_ENDS},
    "Qwen2": {**_BERT, "num_key_value_heads": 1, **_ENDS},
    "ModernBert": {
        **_BERT, **_ENDS, "cls_token_id": 1, "sep_token_id": 2,
        "global_attn_every_n_layers": 2, "local_attention": 4,
    },
}  # fmt: skip
#: with one attention implementation
OTHERS: dict[str, dict[str, Any]] = {
    "Deberta": {**_BERT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "DebertaV2": {**_BERT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 4},
    "MPNet": _BERT,
    "SqueezeBert": {**_BERT, "embedding_size": 12, "q_groups": 1, "k_groups": 1, "v_groups": 1,
                    "post_attention_groups": 1, "intermediate_groups": 2, "output_groups": 2},
    "MobileBert": {**_BERT, "embedding_size": 8, "intra_bottleneck_size": 6, "num_feedforward_networks": 2},
    "ConvBert": {**_BERT, "num_attention_heads": 4, "hidden_size": 16, "head_ratio": 2, "conv_kernel_size": 3,
                 "embedding_size": 8},
}  # fmt: skip


def _builder(name: str, attention: str | None, options: dict[str, Any]) -> Callable[[], nn.Module]:
    return lambda: TextClassifier(name, attention, **options)


def _embedding(network: nn.Module) -> nn.Module:
    return network.get_submodule("model").get_input_embeddings()  # type: ignore[operator]


ARCHITECTURES = [
    *(
        Architecture(
            f"{name}-{attention}",
            _builder(name, attention, options),
            masked_tokens,
            _embedding,
            dynamic=name in {"Bert", "GPT2", "Llama"},
        )
        for name, options in ATTENTION.items()
        for attention in ("eager", "sdpa")
    ),
    *(
        Architecture(name, _builder(name, None, options), masked_tokens, _embedding)
        for name, options in OTHERS.items()
    ),
    Architecture(
        "T5-encoder", T5Encoder, masked_tokens, lambda m: m.get_submodule("model.encoder.embed_tokens")
    ),
]
