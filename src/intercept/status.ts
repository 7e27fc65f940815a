// What /proc/TID/status says of a thread. Pure: proc_pid_status(5) as bytes in, numbers out.

/** Columns of the pid lines are pid namespaces, from the reader's own downwards. */
export interface ThreadStatus {
  readonly comm: string
  readonly tgid: number
  readonly namespaceTids: readonly number[]
  readonly namespaceTgids: readonly number[]
  readonly uid: number
  readonly gid: number
  readonly fsuid: number
  readonly fsgid: number
  readonly groups: Uint32Array
  readonly umask: number
  readonly effective: bigint
}

/** undefined where a line is missing, as for a thread that is going away. */
export function parseStatus(bytes: Buffer): ThreadStatus | undefined {
  // latin1 keeps bytes: the name may be anything. The kernel escapes newlines in it, so lines can't be forged.
  const text = bytes.toString('latin1')
  if (!text.startsWith('Name:\t')) return undefined
  const umask = field(text, '\nUmask:\t')
  const tgid = field(text, '\nTgid:\t')
  const uids = field(text, '\nUid:\t')
  const gids = field(text, '\nGid:\t')
  const groups = field(text, '\nGroups:\t')
  const effective = field(text, '\nCapEff:\t')
  if (umask === undefined || tgid === undefined || uids === undefined || gids === undefined) return undefined
  if (groups === undefined || effective === undefined) return undefined
  const [, uid = NaN, , fsuid = NaN] = numbers(uids)
  const [, gid = NaN, , fsgid = NaN] = numbers(gids)
  const namespaceTids = numbers(field(text, '\nNSpid:\t') ?? '')
  const namespaceTgids = numbers(field(text, '\nNStgid:\t') ?? '')
  if (![uid, gid, fsuid, fsgid].every(Number.isInteger)) return undefined
  return {
    comm: unescapeName(text.slice('Name:\t'.length, text.indexOf('\n'))),
    tgid: Number(tgid),
    namespaceTids,
    namespaceTgids,
    uid,
    gid,
    fsuid,
    fsgid,
    groups: Uint32Array.from(numbers(groups)),
    umask: Number.parseInt(umask, 8),
    effective: BigInt(`0x${effective}`),
  }
}

/** seq_put_decimal lines hold numbers between tabs or blanks. */
function numbers(text: string): number[] {
  const found: number[] = []
  let value = -1
  for (let index = 0; index <= text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30
    if (digit >= 0 && digit <= 9) value = (value === -1 ? 0 : value * 10) + digit
    else if (value !== -1) {
      found.push(value)
      value = -1
    }
  }
  return found
}

function field(text: string, label: string): string | undefined {
  const start = text.indexOf(label)
  if (start === -1) return undefined
  const end = text.indexOf('\n', start + 1)
  return text.slice(start + label.length, end === -1 ? undefined : end)
}

/** proc_task_name() escapes newline and backslash alone (string_escape_str with ESCAPE_SPACE | ESCAPE_SPECIAL). */
function unescapeName(latin1: string): string {
  const plain = latin1.includes('\\')
    ? latin1.replace(/\\([n\\])/g, (_, c: string) => (c === 'n' ? '\n' : '\\'))
    : latin1
  return Buffer.from(plain, 'latin1').toString('utf8')
}
