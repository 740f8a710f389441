"""An image built and run without a container engine: each instruction in a root of its own, by bubblewrap.

What the base image brings comes from this machine: Debian's `/usr`, and a Python at `/usr/local`. Both are read-only, so a RUN that would
install something there fails here. Everything else of the root is made by the instructions.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from tests.support.containerfile import ROOT, Instruction, Stage, context, filled_in, stages
from tests.support.counterparts import counterpart
from tests.support.embedded_servers import IS_ROOT

SHELLS = ("sh", "dash", "bash")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "hosts": "127.0.0.1 localhost\n",
    "ld.so.conf": "/usr/local/lib\n/usr/lib/x86_64-linux-gnu\n/usr/lib/aarch64-linux-gnu\n",
}
OF_THE_MACHINE = ("login.defs", "resolv.conf", "ssl", "ca-certificates")

TO_CHANGE_ACCOUNT = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_OVERRIDE")
"""What the process needs that becomes the container: to become another account, in a folder of that account. It then gives these up, too."""

Step = Callable[["Build", str], bool]
"""Does a RUN in another way, and says whether it did."""


@dataclass
class Build:
    """The root of one stage, and what its instructions have set."""

    root: Path
    python: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"

    def make(self) -> None:
        for name in ("etc", "usr", "proc", "dev", "root", "run", "var"):
            (self.root / name).mkdir(parents=True)
        for name in ("tmp", "var/tmp"):
            (self.root / name).mkdir()
            (self.root / name).chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        for name, text in ACCOUNTS.items():
            (self.root / "etc" / name).write_text(text)
        for name in OF_THE_MACHINE:
            if (source := Path("/etc", name)).is_dir():
                shutil.copytree(source, self.root / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copyfile(source, self.root / "etc" / name)
        self.run(["ldconfig"])

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """A step of the build: as root, and it may write to the root of its stage."""
        done = subprocess.run(
            [
                *(*enclosed(self.root, self.python, "--bind"), "--tmpfs", "/tmp", "--clearenv"),
                *variables({**self.environment, **self.arguments, **(environment or {})}),
                *("--chdir", self.folder, "--", *command),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"

    def host_path(self, path: str) -> Path:
        """Where a path of the stage is on this machine."""
        return self.root / os.path.normpath(Path("/", self.folder, path)).lstrip("/")


class Image:
    """The image of a Containerfile. `instead` may do single RUNs in another way; it is told each one."""

    def __init__(self, folder: Path, python: Path, instead: Step = lambda _, __: False) -> None:
        self._bubblewrap = counterpart("bwrap", "bubblewrap isn't there: install Debian's bubblewrap")
        if not IS_ROOT:
            pytest.skip("only root can give a process the account of an image")
        if subprocess.run(["bwrap", "--bind", "/", "/", "--proc", "/proc", "true"], capture_output=True).returncode:
            pytest.skip("this machine gives bubblewrap no namespaces, as in a container without privileges")
        self._instead, self._built = instead, dict[str, Build]()
        self.build: Build
        self.replaced: list[str] = []
        described = stages((ROOT / "Containerfile").read_text())
        for number, stage in enumerate(described):
            self.build = Build(folder / str(number), python)
            self.build.make()
            self._follow(stage)
            self._built[stage.name] = self.build
        self.stage = described[-1]

    def _follow(self, stage: Stage) -> None:
        build = self.build
        for one in stage.instructions:
            known = {**build.environment, **build.arguments}
            match one.word:
                case "ENV":
                    build.environment |= {name: filled_in(value, known) for name, value in one.pairs.items()}
                case "ARG":
                    name, _, value = one.value.partition("=")
                    build.arguments[name] = filled_in(value, known)
                case "WORKDIR":
                    build.folder = one.value
                    build.host_path("").mkdir(parents=True, exist_ok=True)
                case "USER":
                    build.user = one.value
                case "COPY":
                    self._copy(one)
                case "RUN":
                    if self._instead(build, one.value):
                        self.replaced.append(one.value)
                    else:
                        build.run(["/bin/sh", "-c", one.value])

    def _copy(self, one: Instruction) -> None:
        *sources, target = one.words
        into = self.build.host_path(target)
        if stage := one.flags.get("from"):
            [source] = sources
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self._built[stage].host_path(source), into, symlinks=True, copy_function=os.link)
            return
        sent = context((ROOT / ".dockerignore").read_text())
        for source in sources:
            # A file goes into the folder, and what is in a folder goes into it.
            found = [path for path in sent if Path(source) in (path, *path.parents)]
            assert found, f"nothing of {source} reaches the builder"
            for path in found:
                within = path.name if str(path) == source else path.relative_to(source)
                (into / within).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, into / within)

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        output: IO[bytes],
        volumes: Mapping[Path, str] | None = None,
        entrypoint: Sequence[str] | None = None,
        shells: bool = False,
    ) -> "Container":
        """A container: the image's account, no capabilities, a read-only root, no shell. It shares the network with this machine."""
        user, group = self.build.user.split(":")
        command = [*(entrypoint or self.stage.last("ENTRYPOINT").words), *(arguments or self.stage.last("CMD").words)]
        hidden = [] if shells else [part for name in SHELLS for part in ("--ro-bind", "/dev/null", f"/usr/bin/{name}")]
        mounts = [part for source, target in (volumes or {}).items() for part in ("--bind", str(source), target)]
        for target in (volumes or {}).values():
            self.build.host_path(target).mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [
                *(*enclosed(self.build.root, self.build.python, "--ro-bind"), *hidden, *mounts),
                *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--info-fd", str(writing)),
                *("--cap-drop", "ALL", *(part for one in TO_CHANGE_ACCOUNT for part in ("--cap-add", one))),
                *("--clearenv", *variables({**self.build.environment, **environment}), "--chdir", self.build.folder),
                *("--", "/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
                *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", *command),
            ],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        os.close(writing)
        with os.fdopen(reading) as told:
            said = told.read()
        assert said, "bubblewrap did not start"
        return Container(process, json.loads(said)["child-pid"])


@dataclass
class Container:
    process: subprocess.Popen[bytes]
    first: int
    """The number, on this machine, of the process that is number 1 in the container."""

    def tell(self, message: signal.Signals) -> None:
        os.kill(self.first, message)

    def wait(self, seconds: float = 40) -> int:
        return self.process.wait(seconds)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)  # All processes of the container end with its first one.
        self.process.wait()


def enclosed(root: Path, python: Path, how: str) -> list[str]:
    return [
        *("bwrap", "--die-with-parent", how, str(root), "/", "--ro-bind", "/usr", "/usr", "--ro-bind", str(python)),
        *("/usr/local", "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"),
    ]


def variables(environment: Mapping[str, str]) -> list[str]:
    return [part for name, value in environment.items() for part in ("--setenv", name, value)]


def base_python() -> Path:
    """The prefix of the Python that runs the tests. It can be put elsewhere if it is one by itself, as in a base image."""
    if Path(sys.base_prefix) == Path("/usr"):
        pytest.skip("this Python is a part of Debian, and can't be put into another root")
    return Path(sys.base_prefix)
