"""Everything that touches the air: sources of samples, the receiver, and the task that runs and watches it.

The receiver multiplies small matrices only. numpy's OpenBLAS would share them out to a thread a core, and these
threads wait for each other by spinning: measured, that trebled the cost of a message. One thread is told to do, which
works only before numpy is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
