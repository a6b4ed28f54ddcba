"""The program asks for weights ahead of time. GCC once took each such request for a call without effect, and dropped it:
nothing was wrong but the speed, by half. So the instructions themselves are looked for."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import unittest

PROGRAM = pathlib.Path(os.environ["QKV"])
KERNEL = re.compile(r"^[0-9a-f]+ <.*N_(\w+)::.*::tile<.*::(\w+)_layout, (\d+)>")


def kernels():
    """Of each product of a few rows with a packed weight, (instruction set, type, rows): how many lines it asks for."""
    found, name = {}, None
    with subprocess.Popen(["objdump", "-dC", "--no-show-raw-insn", PROGRAM], stdout=subprocess.PIPE, text=True) as listing:
        for line in listing.stdout:
            if line.endswith(">:\n"):
                match = KERNEL.match(line)
                name = match and (match[1], match[2], int(match[3]))
                if name:
                    found.setdefault(name, 0)
            elif name and "prefetch" in line:
                found[name] += 1
    return found


@unittest.skipUnless(platform.machine() == "x86_64" and shutil.which("objdump"), "looks for x86's instructions by objdump")
@unittest.skipIf(os.environ.get("QKV_SANITIZE"), "compilers do other things for sanitizers")
class ReadAhead(unittest.TestCase):
    def test_products_of_few_rows_ask_for_what_comes_next(self):
        found = kernels()
        self.assertGreater(len(found), 24)
        for kernel, lines in found.items():
            instructions, layout, rows = kernel
            # Wide vectors leave one row's nibbles to the processor.
            alone = instructions == "AVX3" and rows == 1 and layout in ("q4_0", "q4_1", "q4_k", "iq4_nl")
            with self.subTest(kernel):
                self.assertEqual(lines > 0, rows <= 8 and not alone)


if __name__ == "__main__":
    unittest.main()
