// Flags of `explain` alone.

import {asTyped, choice} from '../../flag.js'
import type {Flag} from '../../flag.js'

const group = 'Output'
const commands = ['explain'] as const

export const explain = {
  filter: {
    name: 'filter',
    group,
    commands,
    kind: 'value',
    placeholder: 'FORM',
    ...choice('listing', 'raw', 'hex', 'c'),
    summary: 'print the compiled filters: listing (also without =FORM), raw, hex or c',
    description:
      'Prints the compiled filters instead: what is always denied, and what is notified. --filter alone, or listing, ' +
      'is annotated text, one line for each instruction; c is an initialiser. raw and hex give one program as ' +
      'struct sock_filter: the notify filter, or the deny filter where nothing is intercepted. The form is joined by =.',
  },
  strace: {
    name: 'strace',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    parse: asTyped,
    summary: 'judge every call of FILE, the output of strace -f',
    description:
      'Judges every call of FILE, the output of strace, also with -f, -ff, -o, -t, -r, -y, -n, -i or -T; - is standard ' +
      'input. A call is unknown if strace cut one of its strings: trace with -s 4096. The last lines list what would be ' +
      'refused, and the fewest flags that would allow it.',
  },
  log: {
    name: 'log',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    parse: asTyped,
    summary: 'judge every call of FILE, a log that run wrote',
    description: 'Judges every call of FILE, a log of `run` in either format; - is standard input.',
  },
  strict: {
    name: 'strict',
    group,
    commands,
    kind: 'switch',
    summary: 'exit with 3 when a call or a line could not be judged',
    description:
      'Exits with 3 when none of the calls of --strace or --log would be refused, but one is unknown or a line could not ' +
      'be read. Calls that the kernel decides on do not count.',
  },
  abi: {
    name: 'abi',
    group,
    commands,
    kind: 'value',
    placeholder: 'ABI',
    ...choice('x86_64', 'i386', 'x32', 'aarch64', 'arm'),
    summary: 'the ABI of the calls, where it is not that of the machine',
    description: 'The ABI by which the calls are made: one of this machine. The default is its native one.',
  },
  json: {
    name: 'json',
    group,
    commands: ['explain', 'check'],
    kind: 'switch',
    summary: 'print JSON instead of text',
    description: 'Prints one JSON document instead of text.',
  },
} as const satisfies Readonly<Record<string, Flag>>

export const explainFlags: readonly Flag[] = Object.values(explain)
