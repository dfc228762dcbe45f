"""Checks receipts and exports, one a line of standard input as JSON, and prints what each check says.

The folder of the verifier is the first argument. A receipt is base64 there: a mutated one may not be UTF-8.
"""

import base64
import json
import sys

# A test leaves no files beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verity_verifier  # noqa: E402

for line in sys.stdin:
    given = json.loads(line)
    if "export" in given:
        result = verity_verifier.verify_export(given["export"], given["keys"])
    else:
        result = verity_verifier.verify_receipt(base64.b64decode(given["receipt"]), given["keys"])
    print(json.dumps(result))
