"""As many write it: the file tells the process of whoever holds the place. Arguments: the file, the command."""
import os
import sys

path, *command = sys.argv[1:]
if os.path.exists(path):
    try:
        os.kill(int(open(path).read()), 0)
        sys.exit("already running")
    except (ValueError, ProcessLookupError):
        pass
with open(path, "w") as file:
    file.write(str(os.getpid()))
os.execvp(command[0], command)
