/** Settings of the whole database, which the log keeps: of each name the newest holds. */
import { type LeafIndex, utf8Decode, utf8Encode, VerityError } from '../base/index.ts';
import type { SettingChangedEvent } from '../codec/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import type { Command } from './command.ts';
import { nameKey, settingsTree } from './objects.ts';

/** The longest name, and the longest JSON text, of a setting. */
const settingNameBytesMax = 255;
const settingBytesMax = 65_536;

export function settingChanges(event: SettingChangedEvent, leaf: LeafIndex): StoreChange[] {
  return [{ tree: settingsTree, key: nameKey(event.name), row: event.data, leaf }];
}

/** The value of a setting as the view shows it; undefined if it was never set, or set to null. */
export function settingOf(view: ReadView, name: string): unknown {
  const stored = view.get(settingsTree, nameKey(name));
  const value = stored && (JSON.parse(utf8Decode(stored.row)) as unknown);
  return value ?? undefined;
}

/** The JSON text that a command sets; undefined if that is what holds already. Throws INVALID_ARGUMENT, VALUE_TOO_LARGE. */
export function newSetting(
  view: ReadView,
  { name, value }: Extract<Command, { kind: 'changeSetting' }>,
): Uint8Array | undefined {
  if (!/^[a-z][a-z0-9-]*$/.test(name) || name.length > settingNameBytesMax) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'A setting has a name of lower-case letters, digits and "-".',
    );
  }
  const text = JSON.stringify(value ?? null);
  const data = utf8Encode(text);
  if (data.length > settingBytesMax) {
    throw new VerityError(
      'VALUE_TOO_LARGE',
      `The setting ${name} takes ${data.length} bytes; the limit is ${settingBytesMax}.`,
    );
  }
  const stored = view.get(settingsTree, nameKey(name));
  const before = stored === undefined ? 'null' : utf8Decode(stored.row);
  return before === text ? undefined : data;
}
