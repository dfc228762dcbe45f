/** The planted bugs of the log, its recovery, the keys and the sealing. `npm run mutants` plants them all. */
import type { Mutant } from './mutants.ts';

const log: readonly Mutant[] = [
  {
    name: 'the checksum of a frame header is not compared',
    file: 'src/log/format.ts',
    find: 'crc32(bytes.subarray(start, start + physicalHeaderBytes - 4)) === crc;',
    replace: 'crc >= 0;',
    test: 'src/log/walk.test.ts',
    named: 'a changed byte is damage wherever it is, and is never cut',
  },
  {
    name: 'a frame need not continue the one before it',
    file: 'src/log/walk.ts',
    find: 'equalBytes(header.parent, head.chainHash) &&',
    replace: '',
    test: 'src/log/walk.test.ts',
    named:
      'a frame of another log, a repeated one, a skipped one and one of another branch are told apart',
  },
  {
    name: 'frames may follow the end of a finished segment',
    file: 'src/log/walk.ts',
    find: "if (head.lastKind === 'end' && offset > segmentHeaderBytes) {",
    replace: 'if (head.op < 0) {',
    test: 'src/log/walk.test.ts',
    named: 'nothing may follow the end of a finished segment',
  },
  {
    name: 'a segment is filled to the end of its last frame and no further',
    file: 'src/engine/log-writer.ts',
    find: 'const needed = this.#tail + count + 1;',
    replace: 'const needed = this.#tail + count;',
    test: 'src/engine/log-writer.test.ts',
    named: 'on a full disk it takes just the room that a frame needs',
  },
  {
    name: 'a reply goes out when its frame is written, not when it is flushed',
    file: 'src/engine/log-writer.ts',
    find: `  flush(): void {
    this.#file.flush();`,
    replace: `  flush(): void {
    this.#file.sizeBytes();`,
    test: 'test/crash/images.test.ts',
    named: 'histories 1 to 25',
  },
  {
    name: 'the name of a new segment is not flushed',
    file: 'src/engine/log-writer.ts',
    find: '  disk.flushDirectory(logDirectory);',
    replace: '',
    test: 'test/crash/images.test.ts',
    named: 'histories 1 to 25',
  },
  {
    name: 'the newest frame is called durable before it is',
    file: 'src/engine/commit-frames.ts',
    find: `durableHead: this.#head.op,
      },
      {`,
    replace: `durableHead: this.#tip.op,
      },
      {`,
    test: 'src/engine/commit-loop.test.ts',
    named: 'each names as durable only what was flushed when it was written',
  },
  {
    name: 'commands of a frame that could not be written are acknowledged',
    file: 'src/engine/commit-replies.ts',
    find: 'this.#settled.push(() => batch.fail(failure));',
    replace: 'this.#settled.push(() => batch.succeed());',
    test: 'src/engine/commit-loop.test.ts',
    named: 'leaves nothing acknowledged of all frames on their way, and reads go on',
  },
  {
    name: 'an answer without a change does not wait for what it rests on',
    file: 'src/engine/commit-loop.ts',
    find: 'this.#batch.isEmpty ? this.#flights.newest : this.#batch;',
    replace: 'this.#batch.isEmpty ? undefined : this.#batch;',
    test: 'src/engine/commit-loop.test.ts',
    named: 'wait for the frames that they were decided on, also when nothing is gathered',
  },
];

const recovery: readonly Mutant[] = [
  {
    name: 'a torn frame is cut though a later one calls it durable',
    file: 'src/log/walk.ts',
    find: 'if (provenDurable(bytes, offset + frameAlignment, head)) return asDamage;',
    replace: '',
    test: 'src/log/walk.test.ts',
    named: 'what a later frame calls durable is never cut, torn anywhere',
  },
  {
    name: 'any bad frame at the end passes for a torn one',
    file: 'src/log/walk.ts',
    find: 'if (!isPrefix && !hasUnwrittenSector(bytes, offset, offset + extent)) return asDamage;',
    replace: '',
    test: 'src/log/walk.test.ts',
    named: 'a changed byte is damage wherever it is, and is never cut',
  },
  {
    name: 'a segment that others follow may have a torn tail',
    file: 'src/log/walk.ts',
    find: "if (!found.last || problem.code !== 'CHECKSUM_MISMATCH') return asDamage;",
    replace: "if (problem.code !== 'CHECKSUM_MISMATCH') return asDamage;",
    test: 'src/log/walk.test.ts',
    named: 'only the last segment may have a torn tail',
  },
  {
    name: 'a tail that the anchor calls durable is cut',
    file: 'src/log/walk.ts',
    find: 'if (durable === undefined || this.#head.op >= durable.op ||',
    replace: 'if (durable === undefined || this.#head.op >= 0 ||',
    test: 'src/log/walk.test.ts',
    named: 'nothing at or below the anchor is cut, torn or missing',
  },
  {
    name: 'a forged anchor is believed',
    file: 'src/engine/anchor.ts',
    find: 'if (keys !== undefined && !keys.some((key) => constantTimeEqual(mac, macOf(bytes, key)))) {',
    replace: 'if (mac.length === 0) {',
    test: 'src/engine/anchor.test.ts',
    named: 'a missing, cut, longer, foreign or forged anchor is damage',
  },
  {
    name: 'the anchor is written over its newest slot',
    file: 'src/engine/anchor.ts',
    find: 'const slot = 1 - this.#slot;',
    replace: 'const slot = this.#slot;',
    test: 'src/engine/anchor.test.ts',
    named: 'the newest frame comes back as it was written, from slots that are written in turn',
  },
  {
    name: 'an unclean tail is built upon without being copied',
    file: 'src/engine/open.ts',
    find: '  replaceFile(disk, tail.path, bytes.subarray(0, tail.offset));',
    replace: `  const file = disk.open(tail.path, 'readwrite');
  file.truncate(tail.offset);
  file.close();`,
    test: 'test/crash/handle.test.ts',
    named:
      'of the frame that closes the log, close() throws, and the next owner trusts nothing of it',
  },
  {
    name: 'a file is renamed into place before it is flushed',
    file: 'src/engine/files.ts',
    find: `    file.write(bytes, 0);
    file.flush();`,
    replace: '    file.write(bytes, 0);',
    test: 'test/crash/images.test.ts',
    named: 'histories 1 to 25',
  },
];

const keys: readonly Mutant[] = [
  {
    name: 'a new keyring is used before its name is flushed',
    file: 'src/engine/keyring-store.ts',
    find: "      disk.flushDirectory('');",
    replace: '',
    test: 'test/crash/images.test.ts',
    named: 'histories 1 to 25',
  },
  {
    name: 'an older keyring is accepted',
    file: 'src/engine/keyring-record.ts',
    find: 'if (keyring.generation < logged.generation) {',
    replace: 'if (keyring.generation < 0) {',
    test: 'test/integrity/keys.test.ts',
    named: 'an older keyring put back',
  },
  {
    name: 'the keyring is not authenticated',
    file: 'src/engine/keyring-file.ts',
    find: 'end > 0 && constantTimeEqual(macOf(bytes.subarray(0, end), root), bytes.subarray(end, end + 32))',
    replace: 'end > 0 && root !== undefined',
    test: 'src/engine/keyring.test.ts',
    named: 'it is authentic under its root key alone',
  },
  {
    name: 'a wrapped secret opens under another number',
    file: 'src/engine/keyring.ts',
    find: `    context.u32(tenant);
    context.u32(secretNumber);`,
    replace: `    context.u32(tenant);
    context.u32(0);`,
    test: 'src/engine/keyring-rotation.test.ts',
    named: 'a wrapped key opens in its own place only',
  },
  {
    name: 'the newest secret of a tenant can be dropped',
    file: 'src/engine/keyring.ts',
    find: 'secret.number >= secretNumber || secret === newest',
    replace: 'secret.number >= secretNumber',
    test: 'src/engine/keyring-rotation.test.ts',
    named: 'secrets go in order, and the newest never',
  },
  {
    name: 'after a rotation the old sealing epoch goes on',
    file: 'src/engine/key-hierarchy.ts',
    find: 'this.#version !== this.#hierarchy.sealingVersion ||',
    replace: '',
    test: 'src/engine/keyring-rotation.test.ts',
    named: 'a keyring with a new secret starts a new sealing epoch',
  },
  {
    name: 'both copies of a page of subject keys are written before one is flushed',
    file: 'src/engine/subject-keys-file.ts',
    find: `    file.flush();
  }
}`,
    replace: `  }
  file.flush();
}`,
    test: 'src/engine/subject-keys.test.ts',
    named: 'leaves what was or what will be',
  },
  {
    name: 'what was locked with a public key alone opens without being asked for',
    file: 'src/keys/key-pair.ts',
    find: 'if (isForeign && !this.#acceptForeign) throw',
    replace: 'if (slot.id < 0) throw',
    test: 'test/integrity/key-pair-forgery.test.ts',
    named: 'locked with the public key alone',
  },
  {
    name: 'the mark of a key pair is not compared',
    file: 'src/keys/key-pair-slot.ts',
    find: 'if (constantTimeEqual(mark, parameters.subarray(markStart))) return root;',
    replace: 'if (mark.length > 0) return root;',
    test: 'test/integrity/key-pair-forgery.test.ts',
    named: 'with a mark of zeros',
  },
  {
    name: 'a wiped key keeps its bytes',
    file: 'src/crypto/secret-key.ts',
    find: `    this.#bytes.fill(0);
    this.#handle`,
    replace: '    this.#handle',
    test: 'src/crypto/secret-key.test.ts',
    named: 'a wiped key is overwritten and refuses every use',
  },
];

const sealing: readonly Mutant[] = [
  {
    name: 'the nonce does not depend on what is sealed',
    file: 'src/crypto/section-key.ts',
    find: 'nonceOf(nonceKey, aad, plaintext)',
    replace: 'nonceOf(nonceKey, aad, new Uint8Array())',
    test: 'src/crypto/section-key.test.ts',
    named: 'another place or other bytes get another nonce under the same key',
  },
  {
    name: 'section keys do not depend on the epoch salt',
    file: 'src/crypto/section-key.ts',
    find: 'const material = hkdf(epochSecret, salt, info, 96);',
    replace: 'const material = hkdf(epochSecret, new Uint8Array(32), info, 96);',
    test: 'src/crypto/section-key.test.ts',
    named: 'keys differ by tenant, number of the secret, algorithm, salt, log and secret',
  },
  {
    name: 'the key commitment of a section is not compared',
    file: 'src/crypto/section-key.ts',
    find: 'if (!constantTimeEqual(commitment, this.commitment)) return undefined;',
    replace: '',
    test: 'src/crypto/section-key.test.ts',
    named: 'one changed bit in ciphertext, tag, nonce, place or commitment opens to nothing',
  },
  {
    name: 'a seal does not cover the durable head',
    file: 'src/log/frame-encoder.ts',
    find: '  setU64(view, 15, place.durableHead);',
    replace: '',
    test: 'test/integrity/forgery.test.ts',
    named: 'of a frame',
  },
  {
    name: 'compressed records may expand to any length',
    file: 'src/log/section-form.ts',
    find: `  if (length > bytesMax) return undefined;
`,
    replace: '',
    test: 'src/log/section-form.test.ts',
    named: 'a bomb takes no memory',
  },
];

export const mutants: readonly Mutant[] = [...log, ...recovery, ...keys, ...sealing];
