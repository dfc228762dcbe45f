/** What both AWS providers share: the client's settings, and what an error of theirs means. */
import { type ErrorCode, VerityError } from '../base/index.ts';
import { askWithRetry, ProviderDown, type ProviderNames, type RetrySettings } from './retry.ts';

/** A client of the AWS SDK (v3), as far as we use it. */
export interface AwsClient {
  send(command: unknown, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown>;
}

/** What both AWS providers take. Credentials come from the SDK's own chain unless a client is given. */
export interface AwsSettings {
  /** Default: AWS_REGION, or the profile's. */
  readonly region?: string;
  /** Another endpoint than the region's public one, e.g. that of a VPC. Must be https, but for this machine. */
  readonly endpoint?: string;
  /** A client of your own, e.g. with another role's credentials; region and endpoint are then its own. */
  readonly client?: AwsClient;
  readonly retry?: RetrySettings;
}

/** The settings of a client that leaves trying again to us. */
export function clientSettings(settings: AwsSettings): Record<string, unknown> {
  return {
    maxAttempts: 1,
    ...(settings.region !== undefined && { region: settings.region }),
    ...(settings.endpoint !== undefined && { endpoint: settings.endpoint }),
  };
}

/** Throws INVALID_ARGUMENT for an endpoint to which a key would travel in the clear. */
export function checkEndpoint(endpoint: string | undefined): void {
  if (endpoint === undefined) return;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '');
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isHere)) return;
  throw new VerityError(
    'INVALID_ARGUMENT',
    'The endpoint of a key provider must be an https address; http is for this machine only.',
  );
}

/** Sends a command, again if need be. Throws KEY_PROVIDER_UNAVAILABLE, or AwsRefusal with what AWS answered. */
export async function sendToAws<Answer>(
  names: ProviderNames,
  client: AwsClient,
  command: unknown,
  {
    retry = {},
    isBackground,
  }: { readonly retry?: RetrySettings | undefined; readonly isBackground: boolean },
): Promise<Answer> {
  const ask = async (abortSignal: AbortSignal): Promise<Answer> => {
    try {
      return (await client.send(command, { abortSignal })) as Answer;
    } catch (error) {
      throw meaningOf(error, names);
    }
  };
  return askWithRetry(names, retry, ask, isBackground);
}

/** An error that AWS answered with, by the name of its exception. Carries no text of theirs. */
export class AwsRefusal extends VerityError {
  readonly exception: string;

  constructor(exception: string, code: ErrorCode, message: string, names: ProviderNames) {
    super(code, message, { details: { provider: names.kind, key: names.source, exception } });
    this.exception = exception;
  }
}

const absent = new Set([
  'NotFoundException',
  'ResourceNotFoundException',
  'InvalidRequestException',
]);
const malformed = new Set([
  'InvalidArnException',
  'InvalidKeyUsageException',
  'InvalidParameterException',
  'ValidationException',
]);
const answered = new Set(['IncorrectKeyException', 'InvalidCiphertextException']);
const transient =
  /Throttl|TooManyRequests|LimitExceeded|SlowDown|RequestTimeout|^Timeout|KeyUnavailable|DependencyTimeout|Internal/;

/**
 * ProviderDown for what may work later, else an AwsRefusal. The SDK's error itself goes no further: it carries
 * the request and the answer, and they may hold the key.
 */
function meaningOf(error: unknown, names: ProviderNames): Error {
  const { name, code, message, $metadata } = error as {
    readonly name?: unknown;
    readonly code?: unknown;
    readonly message?: unknown;
    readonly $metadata?: {
      readonly httpStatusCode?: number;
      readonly clockSkewCorrected?: boolean;
    };
  };
  const status = $metadata?.httpStatusCode;
  const exception = shortName(name);
  if (exception === 'CredentialsProviderError' || exception === 'TokenProviderError') {
    return refusal(exception, 'no credentials were found', names);
  }
  if (/region is missing/i.test(String(message))) {
    return new AwsRefusal(
      'RegionMissing',
      'INVALID_ARGUMENT',
      `${names.service} needs a region: pass { region } or set AWS_REGION.`,
      names,
    );
  }
  // No answer at all, an answer that is no JSON, one of a server in trouble, or a wrong clock that the SDK has now corrected.
  if (status === undefined) return new ProviderDown(shortName(code ?? name));
  if (status < 400) return new ProviderDown('an answer that is not of this service');
  if (status >= 500 || status === 429 || transient.test(exception))
    return new ProviderDown(exception);
  if ($metadata?.clockSkewCorrected === true) return new ProviderDown('ClockSkew');
  return refusal(exception, exception, names);
}

function refusal(exception: string, reason: string, names: ProviderNames): AwsRefusal {
  const { service, source, check } = names;
  if (answered.has(exception)) {
    return new AwsRefusal(
      exception,
      'WRONG_KEY',
      `${service} says that the key ${source} did not wrap this.`,
      names,
    );
  }
  if (absent.has(exception)) {
    return new AwsRefusal(
      exception,
      'KEY_MISSING',
      `${service} has no key ${source}, or it was deleted (${exception}). ${check}`,
      names,
    );
  }
  if (malformed.has(exception)) {
    return new AwsRefusal(
      exception,
      'KEY_INVALID',
      `${service} cannot use the key ${source} for this (${exception}). ${check}`,
      names,
    );
  }
  return new AwsRefusal(
    exception,
    'KEY_PROVIDER_DENIED',
    `${service} refuses the use of the key ${source}: ${reason}. ${check}`,
    names,
  );
}

/** A name as we may print it: an exception's or an errno. */
function shortName(name: unknown): string {
  return typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name) ? name : 'unknown error';
}
