/**
 * AWS KMS and Secrets Manager on this machine, as far as we use them: JSON 1.1 over HTTP, for the real SDK. Its keys
 * really encrypt, under the encryption context, and its next answers can be scripted to fail.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer other than the right one. */
export type Fault =
  | {
      readonly status: number;
      readonly type: string;
      readonly message?: string;
      /** The server's time, if not now. */
      readonly date?: Date;
    }
  | 'hang'
  | 'reset'
  | 'html';

export interface AwsRequest {
  readonly target: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly authorization: string;
}

interface SecretVersion {
  readonly id: string;
  stage: string;
  readonly text?: string | undefined;
  readonly binary?: Buffer | undefined;
}

class AwsError extends Error {
  readonly type: string;
  constructor(type: string) {
    super(`the fake says ${type}`);
    this.type = type;
  }
}

export class FakeAws {
  readonly requests: AwsRequest[] = [];
  /** What the next requests get, in this order, before right answers. */
  readonly faults: Fault[] = [];
  readonly #server: Server;
  readonly #keys = new Map<string, Buffer>();
  readonly #aliases = new Map<string, string>();
  readonly #secrets = new Map<string, SecretVersion[]>();

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** A new symmetric key; its ARN. */
  addKey(): string {
    const id = randomBytes(8).toString('hex');
    const arn = `arn:aws:kms:eu-central-1:111122223333:key/${id}`;
    this.#keys.set(arn, randomBytes(32));
    return arn;
  }

  deleteKey(arn: string): void {
    this.#keys.delete(arn);
  }

  pointAlias(alias: string, arn: string): void {
    this.#aliases.set(alias, arn);
  }

  /** A new version of a secret, which becomes the current one; its id. */
  putSecret(name: string, value: string | Buffer): string {
    const versions = this.#secrets.get(name) ?? [];
    for (const version of versions) {
      version.stage = version.stage === 'AWSCURRENT' ? 'AWSPREVIOUS' : '';
    }
    const id = randomBytes(16).toString('hex');
    const content = typeof value === 'string' ? { text: value } : { binary: value };
    this.#secrets.set(name, [...versions, { id, stage: 'AWSCURRENT', ...content }]);
    return id;
  }

  deleteVersion(name: string, id: string): void {
    const versions = this.#secrets.get(name) ?? [];
    this.#secrets.set(
      name,
      versions.filter((version) => version.id !== id),
    );
  }

  deleteSecret(name: string): void {
    this.#secrets.delete(name);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const target = String(request.headers['x-amz-target']);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    this.requests.push({ target, body, authorization: String(request.headers.authorization) });
    const fault = this.faults.shift();
    if (fault === 'hang') return;
    if (fault === 'reset') return void request.socket.destroy();
    if (fault === 'html') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>captive portal</html>');
      return;
    }
    if (fault !== undefined) {
      if (fault.date !== undefined) response.setHeader('date', fault.date.toUTCString());
      send(response, fault.status, { __type: fault.type, message: fault.message ?? 'no' });
      return;
    }
    try {
      send(response, 200, this.#handle(target, body));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      send(response, 400, { __type: error.type, message: error.message });
    }
  }

  #handle(target: string, body: Record<string, unknown>): Record<string, unknown> {
    switch (target) {
      case 'TrentService.Encrypt':
        return this.#encrypt(body);
      case 'TrentService.Decrypt':
        return this.#decrypt(body);
      case 'secretsmanager.GetSecretValue':
        return this.#secretValue(body);
      default:
        throw new AwsError('UnknownOperationException');
    }
  }

  #keyOf(id: unknown): [string, Buffer] {
    const name = String(id);
    const arn = this.#aliases.get(name) ?? name;
    const key = this.#keys.get(arn);
    if (key === undefined) throw new AwsError('NotFoundException');
    return [arn, key];
  }

  #encrypt(body: Record<string, unknown>): Record<string, unknown> {
    const [arn, key] = this.#keyOf(body['KeyId']);
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 });
    cipher.setAAD(contextOf(body));
    const plaintext = Buffer.from(String(body['Plaintext']), 'base64');
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    const blob = Buffer.concat([Buffer.from(arn.padEnd(80)), iv, sealed]);
    return { CiphertextBlob: blob.toString('base64'), KeyId: arn };
  }

  #decrypt(body: Record<string, unknown>): Record<string, unknown> {
    const [arn, key] = this.#keyOf(body['KeyId']);
    const blob = Buffer.from(String(body['CiphertextBlob']), 'base64');
    const made = blob.subarray(0, 80).toString().trim();
    if (!made.startsWith('arn:aws:kms:')) throw new AwsError('InvalidCiphertextException');
    if (made !== arn) throw new AwsError('IncorrectKeyException');
    const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(80, 92), {
      authTagLength: 16,
    });
    decipher.setAAD(contextOf(body));
    decipher.setAuthTag(blob.subarray(-16));
    try {
      const plaintext = [decipher.update(blob.subarray(92, -16)), decipher.final()];
      return { Plaintext: Buffer.concat(plaintext).toString('base64'), KeyId: arn };
    } catch {
      throw new AwsError('InvalidCiphertextException');
    }
  }

  #secretValue(body: Record<string, unknown>): Record<string, unknown> {
    const name = String(body['SecretId']);
    const version = this.#secrets
      .get(name)
      ?.find(({ id, stage }) =>
        body['VersionId'] === undefined
          ? stage === (body['VersionStage'] ?? 'AWSCURRENT')
          : id === body['VersionId'],
      );
    if (version === undefined) throw new AwsError('ResourceNotFoundException');
    const { id, text, binary } = version;
    return {
      ARN: `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-AbCdEf`,
      Name: name,
      VersionId: id,
      ...(text !== undefined && { SecretString: text }),
      ...(binary !== undefined && { SecretBinary: binary.toString('base64') }),
    };
  }
}

function contextOf(body: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify(body['EncryptionContext'] ?? {}));
}

function send(response: ServerResponse, status: number, body: Record<string, unknown>): void {
  response
    .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
    .end(JSON.stringify(body));
}
