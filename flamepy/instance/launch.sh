#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An executor starts this in the place where the package was unpacked: find the Python that the caller asked for, with
# what our worker needs besides the standard library.
version="${FLAME_PYTHON_VERSION:?is set by the Runner}"
home="${FLAME_HOME:-/opt/flame}"
runtime="$FLAME_APP_DIR/.flame"
libraries="$home/lib/python$version/site-packages"
executor="$PPID"  # it may be gone before Python has started

suits() {
    [ -x "$1" ] && "$1" -c '
import importlib.util, sys
sys.path.append(sys.argv[2])
has = all(importlib.util.find_spec(name) for name in ("cloudpickle", "google.protobuf", "grpc", "pyarrow"))
sys.exit(not has or "%d.%d" % sys.version_info[:2] != sys.argv[1])
' "$version" "$libraries" 2>/dev/null
}

of_uv() {
    uv="$home/bin/uv"
    [ -x "$uv" ] || uv="$(command -v uv)" || return
    "$uv" python find --no-project "$version" 2>/dev/null
}

python="$FLAME_WORKER_PYTHON"
suits "$python" || python="$(command -v "python$version")"
suits "$python" || python="$(of_uv)"
if ! suits "$python"; then
    echo "flame-jupyter: this node has no Python $version with cloudpickle, grpcio, protobuf and pyarrow, neither on PATH" \
        "nor known to uv, nor with $libraries. Install them there, or start the Runner with a Python that the node has." >&2
    exit 1
fi
FLAME_LIBRARIES="$libraries" exec "$python" -c '
import os, sys
runtime, libraries = sys.argv[1], os.environ.pop("FLAME_LIBRARIES")
sys.path[:] = [each for each in sys.path if each]
sys.path.insert(0, runtime)
if os.path.isdir(libraries):
    sys.path.append(libraries)
from flamepy.instance.supervisor import supervised
def serve(known):
    from flamepy.instance.main import serve
    return serve(known)
sys.exit(supervised(serve, executor_pid=int(sys.argv[2])))
' "$runtime" "$executor"
