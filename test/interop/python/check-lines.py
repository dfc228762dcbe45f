"""Checks receipts, one a line of standard input as JSON [text, keys, witnesses], and prints what each check says.

The folder of the verifier is the first argument. A receipt is base64 there: a mutated one may not be UTF-8.
"""

import base64
import json
import sys

sys.path.insert(0, sys.argv[1])
import verity_verifier  # noqa: E402

for line in sys.stdin:
    text, keys, witnesses = json.loads(line)
    result = verity_verifier.verify_receipt(base64.b64decode(text), keys, witnesses)
    print(json.dumps(result))
