# The lit suite of the dialect: round trips and verifier messages.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import os

import lit.formats

config.name = "fourfold-dialect"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(lit_config.params["binary_dir"], "tests", "dialect", "lit")
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(lit_config.params["binary_dir"], "bin"), lit_config.params["llvm_tools"], os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"
