"""What a person sees of a training, and how it is stopped: one bar, and Ctrl-C that first saves a checkpoint."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback

from toolkit.cli.output import Advance, note


class Watch(TrainerCallback):
    """Moves the bar with every step, says loss and speed, and ends the training when asked to."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._started = time.monotonic()
        self._loss = ""
        self.trainer: Any = None
        """Set when there is one; it counts tokens."""
        self.is_stopping = False
        """Set by Ctrl-C: the training saves and ends behind the step that runs."""
        self.history: list[dict[str, float]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The clock starts when data and model are ready."""
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance, and stop if asked."""
        seconds = max(1e-9, time.monotonic() - self._started)
        tokens = self.trainer.tokens_seen * args.world_size / seconds
        self._advance(state.global_step, f"{self._loss}{tokens:,.0f} tokens/s")
        if self.is_stopping:
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Keep what was logged; show the loss."""
        found = {name: value for name, value in (logs or {}).items() if isinstance(value, int | float)}
        if "loss" in found:
            self._loss = f"loss {found['loss']:.3f}, "
        if "eval_loss" in found:
            note(f"step {state.global_step:,}: validation loss {found['eval_loss']:.4f}")
        self.history.append({**found, "step": state.global_step})

    @contextmanager
    def stopping_on_interrupt(self, processes: int) -> Iterator[None]:
        """In this block the first Ctrl-C saves and ends; several processes would have to agree, and are ended."""
        if processes > 1 or threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: Any) -> None:
            if self.is_stopping:
                raise KeyboardInterrupt
            self.is_stopping = True
            note("stopping behind this step, with a checkpoint; once more Ctrl-C stops at once")

        former = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, former)
