"""The command line: `robsynth COMMAND [KEY=VALUE ...]`.

stdout is for machines (one JSON object, the last line), stderr for people. Nothing heavy is imported before a
command needs it.
"""

import importlib
import json
import signal
import sys
import traceback
from typing import Any

from robsynth import __version__, processes
from robsynth.config.commands import COMMANDS
from robsynth.config.help import overview, usage
from robsynth.errors import Pruned, RequestError, RunError, status_of

TERMINATED = 128 + signal.SIGTERM
# What a sweep may run; its trials hear of the work as it goes.
TRIALS = ("reproduce", "train")
# What has stages.
PLANNED = ("reproduce", "train", "synthesize", "evaluate")
HELP = {"-h", "--help"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 for a failure, 2 for what cannot be met, 3 for a pruned trial."""
    command, *words = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command in ("", "help", *HELP):
        print(overview(), file=sys.stdout if command else sys.stderr)
        return 0 if command else 2
    if command == "--version":
        print(f"robsynth {__version__}")
        return 0
    if command not in COMMANDS:
        return _complain(f"{command}: no such command; allowed: {', '.join(COMMANDS)}", 2)
    if HELP & set(words):
        print(usage(command))
        return 0
    return _run(command, words)


def _run(command: str, words: list[str]) -> int:
    # So that what is open is closed, W&B's run among others. A training finishes its step first (training/fit.py).
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        result = _result(command, words)
        if result is not None:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        return 0
    except processes.Elsewhere as failure:
        return failure.status
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on from here", 130)
    except SystemExit as stopped:
        if stopped.code != TERMINATED:
            raise
        return _complain("terminated; the same command goes on from here", TERMINATED)
    except Exception as error:
        line = str(error)
        if not isinstance(error, Pruned | RequestError | RunError):
            line = f"failed unexpectedly ({type(error).__name__}: {error}); debug=true shows where"
        if "debug=true" in map(str.lower, words):
            traceback.print_exc()
        return _complain(line, status_of(error))


def _result(command: str, words: list[str]) -> dict[str, Any] | None:
    """What the command says; None where another process of the run says it."""
    from robsynth.config.compose import load_config, resolved, split_words

    keys = [word for word in words if not word.startswith(("--cfg", "--plan")) and word != "job"]
    keys, jobs = split_words(keys) if command == "sweep" else (keys, [])
    config = load_config(command, keys)
    if any(word.startswith("--cfg") for word in words):
        return resolved(config)
    module = importlib.import_module(f"robsynth.commands.{command}")
    if "--plan" in words:
        if command not in PLANNED:
            raise RequestError(f"--plan: `robsynth {command}` has no stages; allowed: of {', '.join(PLANNED)}")
        from robsynth.lab.plan import plan

        return plan(command, config)
    if command == "sweep":
        return module.run(config, jobs)
    if not hasattr(config, "trainer"):
        return module.run(config)
    from robsynth.lab import launch
    from robsynth.lab.sweeps.study import open_trial
    from robsynth.machine import resolve_machine

    device = resolve_machine(config.device, config.precision).device
    if count := launch.to_start(config.trainer, device):
        launch.start(count, [command, *words])
        return None
    with launch.member(config.trainer, device):
        result = module.run(config, listener=open_trial()) if command in TRIALS else module.run(config)
        return result if processes.is_first() else None


def _complain(line: str, status: int) -> int:
    line = " ".join(line.split())
    if not processes.leave_word(line):
        rank = processes.rank()
        print(f"robsynth: process {rank}: {line}" if rank else f"robsynth: {line}", file=sys.stderr)
    return status
