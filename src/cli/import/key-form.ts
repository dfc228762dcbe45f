/**
 * The form of a value in which equal keys are equal texts. `type` is the column's SQL type; without
 * one, the form is that of whatever the text looks like, which may join texts that differ as text.
 */
export function keyForm(text: string, type: string | undefined): string {
  switch (type?.replace(/\(.*$/, '')) {
    case undefined:
      return guessedForm(text);
    case 'smallint':
    case 'integer':
    case 'bigint':
      return BigInt(text.replace(/^\+/, '')).toString();
    case 'numeric':
      return numberForm(text);
    case 'real':
      return String(Math.fround(Number(text)));
    case 'double precision':
      return String(Number(text));
    case 'uuid':
    case 'boolean':
      return text.toLowerCase();
    case 'timestamp':
      return timeForm(`${text}Z`);
    case 'timestamptz':
      return timeForm(text);
    default:
      return text;
  }
}

const timePattern =
  /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,6}))?(Z|[+-]\d\d:?(?:\d\d)?)$/;

function guessedForm(text: string): string {
  if (/^-?\d+\.\d+$/.test(text)) return numberForm(text);
  if (timePattern.test(text)) return timeForm(text);
  return text.toLowerCase();
}

function numberForm(text: string): string {
  const match = /^([+-]?)0*(\d*)(?:\.(\d*))?$/.exec(text);
  if (match === null) return text;
  const fraction = (match[3] ?? '').replace(/0+$/, '');
  const digits = `${match[2] === '' ? '0' : (match[2] as string)}${fraction === '' ? '' : `.${fraction}`}`;
  return match[1] === '-' && digits !== '0' ? `-${digits}` : digits;
}

/** The instant in UTC, to the microsecond. */
function timeForm(text: string): string {
  const match = timePattern.exec(text);
  if (match === null) return text;
  const [, day, minute, second = ':00', fraction = '', zone = 'Z'] = match;
  const offset =
    zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`;
  const instant = new Date(`${day}T${minute}${second}${offset}`);
  return `${instant.getTime()}.${fraction.padEnd(6, '0')}`;
}
