/** Wires the page: what is dropped, chosen or pasted is checked here, in this browser, and goes nowhere. */
import { receiptBytesMax, verifyReceipt } from '../receipt/index.ts';
import { reportOf } from './report.ts';

/** Starts the page in `page`, whose body is that of verify.html. */
export function startPage(page: Document): void {
  const part = <T extends HTMLElement>(id: string): T => page.getElementById(id) as T;
  const text = part<HTMLTextAreaElement>('receipt');
  const keys = part<HTMLTextAreaElement>('keys');
  const witnesses = part<HTMLTextAreaElement>('witnesses');
  const chooser = part<HTMLInputElement>('file');
  const name = part('name');
  const result = part('result');
  /** A file's bytes are checked as they are: a text field would change its line ends. */
  let file: Uint8Array | undefined;

  const check = (): void => {
    // Pasted text may have got a line end; a receipt has none.
    const receipt = file ?? text.value.trim();
    if (receipt.length === 0 || keys.value.trim() === '') {
      result.replaceChildren();
      return;
    }
    const options = { keys: linesOf(keys.value), witnesses: linesOf(witnesses.value) };
    result.replaceChildren(reportOf(verifyReceipt(receipt, options)));
  };
  const take = async (chosen: File | undefined): Promise<void> => {
    if (chosen === undefined) return;
    // One byte more than may be: the check says that it is too large.
    file = new Uint8Array(await chosen.slice(0, receiptBytesMax + 1).arrayBuffer());
    name.textContent = `${chosen.name}, ${chosen.size} bytes`;
    text.value = '';
    check();
  };
  chooser.addEventListener('change', () => {
    void take(chooser.files?.[0]);
    // So that the same file can be chosen again when it has changed.
    chooser.value = '';
  });
  text.addEventListener('input', () => {
    file = undefined;
    name.textContent = '';
    check();
  });
  for (const field of [keys, witnesses]) field.addEventListener('input', check);
  part('check').addEventListener('click', check);
  page.addEventListener('dragover', (event) => event.preventDefault());
  page.addEventListener('drop', (event) => {
    event.preventDefault();
    void take(event.dataTransfer?.files[0]);
  });
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
