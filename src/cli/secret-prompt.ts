import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { VerityError } from '../base/index.ts';
import type { Terminal } from './terminal.ts';

/** Asks for a line without showing it; when standard input is no terminal, reads its first line. */
export async function readSecret(terminal: Terminal, question: string): Promise<string> {
  const isTerminal = terminal.stdin.isTTY === true;
  if (isTerminal) terminal.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({
    input: terminal.stdin,
    output: silent,
    terminal: isTerminal,
    historySize: 0,
  });
  try {
    return await new Promise<string>((resolve, reject) => {
      const ended = new VerityError(
        'KEY_MISSING',
        'Nothing was entered. Type the secret, or name the file that holds it.',
      );
      lines
        .once('line', resolve)
        .once('close', () => reject(ended))
        .once('SIGINT', () => reject(ended));
    });
  } finally {
    lines.close();
    if (isTerminal) terminal.stderr.write('\n');
  }
}
