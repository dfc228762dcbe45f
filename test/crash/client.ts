/** The simulator's client, talking to the processes of this folder's machine. */
import { Client as SimulatedClient } from '../../src/sim/index.ts';
import type { Session } from './machine.ts';

export { type Attempt, codeOf } from '../../src/sim/index.ts';

export class Client extends SimulatedClient<Session> {}
