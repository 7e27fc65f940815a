// Passwords in what is shown: options of mounts, URLs and words of command lines. Logs are kept and passed on.

const NAMES = '(?:pass(?:word|wd|phrase)?2?|pwd|secret|token|credentials?|key)'
const MASK = '***'

/** An option of mount(2); a comma in a password of cifs is doubled (mount.cifs(8)). */
const OPTION = new RegExp(`((?:^|,)\\s*${NAMES}=)(?:[^,]|,,)+`, 'giu')
/** RFC 3986: what stands between a colon and the @ of the authority. */
const AUTHORITY = /([a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:)[^\s/?#@]+@/giu
const QUERY = new RegExp(`([?&]${NAMES}=)[^&#\\s]+`, 'giu')
/** `PGPASSWORD=x`, a flag with its value, `-o user=a,pass=x`; also within the script of `sh -c`. */
const LONG_NAMES = '[\\w-]*(?:password|passwd|passphrase|secret|token|credentials?)'
const ANY_NAME = `(?:${LONG_NAMES}|(?:[\\w-]*[-_])?${NAMES})`
const ASSIGNMENT = new RegExp(`((?<![\\w-])${ANY_NAME}\\s*=\\s*)(?:"[^"]*"|'[^']*'|[^\\s,;&'"]+)`, 'giu')
const NAME = new RegExp(`^${ANY_NAME}$`, 'iu')

let isRevealed = false

/** For --show-secrets: nothing is masked any more in this process. */
export function revealSecrets(): void {
  isRevealed = true
}

/** Whether a value of this name (`password`, also as a flag) is not for everybody. */
export function isSecretName(name: Uint8Array | string): boolean {
  return !isRevealed && NAME.test(typeof name === 'string' ? name : latin1(name))
}

/** Data of mount(2), or one string of it: `user=a,pass=***`. Bytes stay bytes. */
export function maskOptions(bytes: Buffer): Buffer {
  return masked(bytes, (text) => maskUrls(text.replace(OPTION, `$1${MASK}`)))
}

/** Words of a command line, as they may be shown to anyone. */
export function maskWords(words: readonly Buffer[]): readonly Buffer[] {
  return words.map((word, at) => {
    const before = words[at - 1]
    if (before?.[0] === DASH && isSecretName(before)) return Buffer.from(MASK)
    return masked(word, (text) => maskUrls(text.replace(ASSIGNMENT, `$1${MASK}`)))
  })
}

const DASH = 0x2d

function maskUrls(text: string): string {
  return text.replace(AUTHORITY, `$1${MASK}@`).replace(QUERY, `$1${MASK}`)
}

function masked(bytes: Buffer, change: (text: string) => string): Buffer {
  if (isRevealed) return bytes
  const text = latin1(bytes)
  const changed = change(text)
  return changed === text ? bytes : Buffer.from(changed, 'latin1')
}

/** Each byte is one character, so that what is no UTF-8 comes back as it was. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
