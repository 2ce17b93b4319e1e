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

from robsynth.config.commands import COMMANDS

TERMINATED = 128 + signal.SIGTERM
# What a sweep may run; its trials hear of the work as it goes.
TRIALS = ("reproduce", "train")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 for a failure, 2 for what cannot be met, 3 for a pruned trial."""
    command, *words = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command in ("", "-h", "--help", "help"):
        from robsynth.config.help import overview

        print(overview(), file=sys.stdout if command else sys.stderr)
        return 0 if command else 2
    if command == "--version":
        from robsynth import __version__

        print(f"robsynth {__version__}")
        return 0
    if command not in COMMANDS:
        return _complain(f"{command}: no such command; allowed: {', '.join(COMMANDS)}", 2)
    if any(word in ("-h", "--help") for word in words):
        from robsynth.config.help import usage

        print(usage(command))
        return 0
    return _run(command, words)


def _run(command: str, words: list[str]) -> int:
    from robsynth.errors import Pruned, RequestError, RunError, status_of
    from robsynth.processes import Elsewhere

    # So that what is open is closed, W&B's run among others. A training finishes its step first (training/fit.py).
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = _result(command, words)
        if result is not None:
            print(json.dumps(result, ensure_ascii=False), flush=True)
        return 0
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on from here", 130)
    except SystemExit as stopped:
        if stopped.code != TERMINATED:
            raise
        return _complain("terminated; the same command goes on from here", TERMINATED)
    except Pruned as reason:
        return _complain(str(reason), status_of(reason))
    except Elsewhere as failure:
        return failure.status
    except Exception as error:
        if "debug=true" in (word.lower() for word in words):
            traceback.print_exc()
        if isinstance(error, RequestError | RunError):
            return _complain(str(error), status_of(error))
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _complain(f"failed unexpectedly ({text}); debug=true shows where", 1)


def _terminate(*_: Any) -> None:
    raise SystemExit(TERMINATED)


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
        return _plan(command, module, config)
    if command == "sweep":
        return module.run(config, jobs)
    if not hasattr(config, "trainer"):
        return module.run(config)
    from robsynth import processes
    from robsynth.lab import launch
    from robsynth.lab.sweeps.trial import open_trial
    from robsynth.machine import resolve_machine

    device = resolve_machine(config.device, config.precision).device
    if count := launch.to_start(config.trainer, device):
        launch.start(count, [command, *words])
        return None
    with launch.member(config.trainer, device):
        result = module.run(config, listener=open_trial()) if command in TRIALS else module.run(config)
        return result if processes.is_first() else None


def _plan(command: str, module: Any, config: Any) -> dict[str, Any]:
    from robsynth.errors import RequestError

    if not hasattr(module, "stages"):
        raise RequestError(f"--plan: `robsynth {command}` has no stages; allowed: robsynth reproduce --plan")
    from robsynth.lab.plan import plan

    return plan(command, config)


def _complain(line: str, status: int) -> int:
    from robsynth.processes import leave_word, rank

    line = " ".join(line.split())
    if not leave_word(line):
        print(f"robsynth: process {rank()}: {line}" if rank() else f"robsynth: {line}", file=sys.stderr)
    return status
