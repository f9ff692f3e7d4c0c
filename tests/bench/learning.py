"""Adapters trained: by our loop, and by the shortest one over PEFT and AdamW."""

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F  # noqa: N812

from rapport.arms import agents, load_menu
from rapport.language.adaptation import MODULES
from rapport.language.batches import batches, encode_examples, pad
from rapport.language.course import Target
from rapport.language.examples import Example, Lesson
from rapport.language.loading import Hardware, load_trainable
from rapport.language.prompts import Message
from rapport.language.settings import TrainingSettings
from rapport.language.training import AdapterTrainer
from tests.bench.writing import SAID


def lesson() -> Lesson:
    """The menus' approved replies, each to one message; a few users held out."""
    arms = [arm for agent in agents() for arm in load_menu(agent).served]
    examples = [
        Example(
            messages=[Message(role="user", content=SAID)],
            reply=reply,
            arm=arm,
            persona="wry-03",
            user=f"u{place}",
        )
        for arm in arms
        for place, reply in enumerate(arm.replies)
    ]
    return Lesson(examples[4:], examples[:4])


class Learning:
    """Both loops on the same examples, batches and model; each call trains anew."""

    def __init__(self, model: Path, hardware: Hardware, *, batch_tokens: int, tokens: int) -> None:
        self._settings = TrainingSettings(tokens=tokens, batch_tokens=batch_tokens, checks=1)
        self._lesson, self._device = lesson(), hardware.device
        self._trainer = AdapterTrainer(load_trainable(model, hardware=hardware))
        self._plain = load_trainable(model, hardware=hardware)
        config = LoraConfig(r=8, lora_alpha=16, target_modules=list(MODULES))
        self._wrapped: Any = get_peft_model(self._plain.model, config).train()

    def ours(self) -> float:
        """Tokens a second, checks on held-out users and writing the adapter included."""
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            report = self._trainer.train(self._lesson, self._settings, Target(Path(folder) / "a"))
            return report.tokens / (time.perf_counter() - begun)

    def theirs(self) -> float:
        """Tokens a second of forward, backward and AdamW alone."""
        settings, done, seed = self._settings, 0, itertools.count()
        encoded = encode_examples(self._plain.tokenizer, self._lesson.train)
        trained = [p for p in self._wrapped.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=0.0)
        begun = time.perf_counter()
        while done < settings.tokens:
            for batch in batches(encoded, batch_tokens=settings.batch_tokens, seed=next(seed)):
                examples = [encoded[i] for i in batch]
                ids, reply = pad(examples, self._device)
                logits = self._wrapped(input_ids=ids, use_cache=False).logits[:, :-1]
                wanted = torch.where(reply, ids, -100)[:, 1:]
                loss = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten())
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                adam.step()
                adam.zero_grad()
                done += sum(len(example.ids) for example in examples)
                if done >= settings.tokens:
                    break
        float(loss.detach())  # waits for the device
        return done / (time.perf_counter() - begun)
