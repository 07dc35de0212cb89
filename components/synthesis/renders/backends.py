"""Finds which of Mitsuba's variants work here, each tried in a process of its own: some LLVM releases abort it.

`DETENT_RENDER_BACKEND` chooses one of auto, cuda, llvm, scalar; auto takes the fastest that works. The plain
scalar variant needs nothing but Mitsuba's wheel and always works.
"""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from components.core.errors import ConfigError, UnavailableError

BackendName = Literal["cuda", "llvm", "scalar"]
BACKENDS: tuple[BackendName, ...] = ("cuda", "llvm", "scalar")
CHOICE_VARIABLE = "DETENT_RENDER_BACKEND"
LIBRARY_VARIABLE = "DRJIT_LIBLLVM_PATH"
_VARIANTS: dict[BackendName, str] = {"cuda": "cuda_ad_rgb", "llvm": "llvm_ad_rgb", "scalar": "scalar_rgb"}
_PROBE_TIMEOUT_S = 90.0
_LIBRARIES = (
    "/usr/lib/llvm-19/lib/libLLVM*.so*",
    "/usr/lib/*/libLLVM.so.19*",
    "/usr/lib/*/libLLVM-19.so*",
    "/usr/lib/llvm-*/lib/libLLVM*.so*",
    "/usr/lib/*/libLLVM.so.*",
    "/usr/lib/*/libLLVM-1*.so*",
    "/opt/homebrew/opt/llvm/lib/libLLVM*.dylib",
)
_PROBE = """
import sys
import mitsuba
mitsuba.set_variant(sys.argv[1])
scene = mitsuba.cornell_box()
scene["sensor"]["film"]["width"] = scene["sensor"]["film"]["height"] = 8
picture = mitsuba.render(mitsuba.load_dict(scene), spp=1)
assert picture.numpy().mean() > 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A variant of Mitsuba that rendered a picture here; `library` is the libLLVM it needs."""

    name: BackendName
    library: str | None = None

    @property
    def variant(self) -> str:
        """Mitsuba's own name for it."""
        return _VARIANTS[self.name]

    def activate(self) -> None:
        """Make it Mitsuba's variant in this process; call it before any of Mitsuba's types are used."""
        import mitsuba as mi

        if self.library is not None:
            os.environ[LIBRARY_VARIABLE] = self.library  # Dr.Jit reads it when it first loads LLVM
        mi.set_variant(self.variant)


def choose_backend(name: str | None = None) -> Backend:
    """The backend asked for, by name or by DETENT_RENDER_BACKEND; the fastest that works for `auto`.

    ConfigError for an unknown name, UnavailableError with the remedy for one that does not work here.
    """
    wanted = name or os.environ.get(CHOICE_VARIABLE, "") or "auto"
    if wanted not in ("auto", *BACKENDS):
        source = "the render backend" if name else CHOICE_VARIABLE
        raise ConfigError(f"{source} is {wanted!r}, allowed are auto, {', '.join(BACKENDS)}")
    if wanted == "scalar":
        return Backend(name="scalar")
    working = available() if wanted == "auto" else tuple(b for b in available() if b.name == wanted)
    if not working:
        raise UnavailableError(f"the render backend {wanted} does not work here: {remedy()}")
    return working[0]


@cache
def available() -> tuple[Backend, ...]:
    """The backends that work here, the fastest first; probed once a process, in processes of their own."""
    found: list[Backend] = []
    if _has_cuda() and _probe("cuda", None)[0]:
        found.append(Backend(name="cuda"))
    for library in _llvm_libraries(os.environ):
        if _probe("llvm", library)[0]:
            found.append(Backend(name="llvm", library=library))
            break
    return (*found, Backend(name="scalar"))


def remedy() -> str:
    """One sentence for people: what renders here, and what would make it faster."""
    names = [backend.name for backend in available()]
    if "cuda" in names or "llvm" in names:
        return f"renders run on {names[0]}; {', '.join(names)} work here"
    tried = _llvm_libraries(os.environ)
    reason = f"{', '.join(tried)} did not render" if tried else "no libLLVM was found"
    return (
        f"renders run on scalar, which is slow, since {reason}: install LLVM 19 (Debian and Ubuntu: "
        f"apt-get install libllvm19) and, where it is not found, name its file in {LIBRARY_VARIABLE}"
    )


def _probe(name: BackendName, library: str | None) -> tuple[bool, str]:
    """Whether a picture comes out, in a process of its own, and the end of what it said."""
    environment = dict(os.environ) | ({LIBRARY_VARIABLE: library} if library else {})
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, _VARIANTS[name]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, done.stderr[-400:]


def _llvm_libraries(environment: Mapping[str, str]) -> list[str]:
    """Candidates for libLLVM: the one named in the environment alone, or those found, LLVM 19 first."""
    named = environment.get(LIBRARY_VARIABLE)
    if named:
        return [named]
    found = [str(path) for pattern in _LIBRARIES for path in sorted(Path("/").glob(pattern.lstrip("/")))]
    by_file = {str(Path(path).resolve()): path for path in reversed(found)}
    return [path for path in dict.fromkeys(found) if by_file[str(Path(path).resolve())] == path]


def _has_cuda() -> bool:
    return ctypes.util.find_library("cuda") is not None or Path("/dev/nvidiactl").exists()
