"""A program on a terminal of its own: what it shows is read, and keys are pressed."""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

BACKSPACE, CTRL_C, CTRL_D, CTRL_U = "\x7f", "\x03", "\x04", "\x15"
PATIENCE = 60  # seconds, for a machine that is busy with other things


class Terminal:
    def __init__(self, test, *command):
        self.test, self.shown, self.code = test, "", None
        self.process, self.screen = pty.fork()
        if self.process == 0:
            os.execv(command[0], [str(part) for part in command])
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        test.addCleanup(self.close)

    def press(self, keys):
        os.write(self.screen, keys.encode())

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
        self.shown += piece.decode(errors="replace").replace("\r\n", "\n")
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
