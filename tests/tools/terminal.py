"""A program on a terminal of its own: what it shows is read, and keys are pressed."""
import codecs
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

BACKSPACE, DELETE = "\x7f", "\x1b[3~"
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, END = "\x1b[H", "\x1b[F"
CTRL_A, CTRL_C, CTRL_D, CTRL_E, CTRL_K, CTRL_R, CTRL_U, CTRL_W = (chr(ord(c) - 64) for c in "ACDEKRUW")
MOVES = r"\x1b\[[0-9;?]*[A-Za-z@]"  # what moves the cursor, or changes what stands there
PATIENCE = 60  # seconds, for a machine that is busy with other things


class Terminal:
    def __init__(self, test, *command, **environment):
        """Data of the user are in the test's folder; `environment` changes what else the program is told."""
        self.test, self.shown, self.code = test, "", None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        told = os.environ | {"TERM": "xterm", "XDG_DATA_HOME": str(test.folder / "data"), "LC_ALL": "C"} | environment
        self.process, self.screen = pty.fork()
        if self.process == 0:
            os.execve(command[0], [str(part) for part in command], told)
        self.resize(24, 200)
        test.addCleanup(self.close)

    def press(self, keys):
        os.write(self.screen, keys.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def waits_for_lines(self):
        """Whether the terminal edits lines itself, as it does for programs that know nothing of keys."""
        return bool(termios.tcgetattr(self.screen)[3] & termios.ICANON)

    def wait_for(self, pattern):
        """Everything shown until the pattern is, with it; none of that is looked at again."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.shown)):
            if not self._read(max(0, end - time.monotonic())):
                self.test.fail(f"waited for {pattern!r}; there is {self.shown[-500:]!r}")
        before, self.shown = self.shown[:found.end()], self.shown[found.end():]
        return before

    def _read(self, seconds):
        if not select.select([self.screen], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.screen, 1 << 16)
        except OSError:  # the program has ended
            return False
        self.shown = re.sub(MOVES, "", self.shown + self.decoder.decode(piece)).replace("\r\n", "\n")
        return bool(piece)

    def end(self):
        """The exit code, once the program has ended by itself."""
        end = time.monotonic() + PATIENCE
        while self._read(max(0, end - time.monotonic())):
            pass
        while self.code is None and time.monotonic() < end:
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        self.test.assertIsNotNone(self.code, "it does not end")
        return self.code

    def close(self):
        if self.code is None:
            os.kill(self.process, 9)
            os.waitpid(self.process, 0)
        os.close(self.screen)
