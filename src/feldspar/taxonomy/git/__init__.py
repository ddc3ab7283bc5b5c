"""Documents from git repositories that strangers name, and questions to repositories at hand (§3.1).

`names` reads what a leaf may name, `runner` runs git in `bounded` children, `bring` fetches one
commit into the cache on the `shelf`, `objects` reads its files, `blame` says what went wrong.
"""

from feldspar.taxonomy.git.bring import LIMITS, Fetched, fetch
from feldspar.taxonomy.git.objects import GitFile, Limits
from feldspar.taxonomy.git.runner import GitTrouble, run_git

__all__ = ["LIMITS", "Fetched", "GitFile", "GitTrouble", "Limits", "fetch", "run_git"]
