# SPDX-License-Identifier: Apache-2.0
"""Generates the stubs of the service and of the framed protocol from proto/.

    python make_stubs.py [FOLDER]    by default the folder of this file
"""

import argparse
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
proto = here.parent.parent / "proto"


def make_stubs(folder):
    files = sorted(str(path.relative_to(proto)) for path in proto.glob("configlookup/**/*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(proto)]
    subprocess.run([*command, f"--python_out={folder}", f"--grpc_python_out={folder}", *files], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Generates the stubs of the service from proto/.")
    parser.add_argument("folder", nargs="?", default=here, help="the output folder; by default the folder of this file")
    make_stubs(parser.parse_args().folder)
