// Flags that say what is reported, and where.

import {choice, wholePath} from '../../flag.js'
import type {Flag} from '../../flag.js'
import {parsePath} from './values.js'

const group = 'Output'
const commands = ['run', 'exec'] as const

export const output = {
  trace: {
    name: 'trace',
    group,
    commands,
    kind: 'value',
    placeholder: 'WHICH',
    ...choice('all', 'refused', 'none'),
    summary: 'which decisions are shown or filed: all, refused or none (all)',
    description:
      'Selects the decisions that are shown or filed: all, those that were refused or failed, or none. The default is ' +
      'all.',
  },
  logFile: {
    name: 'log-file',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    parse: parsePath,
    withPath: wholePath,
    summary: 'write decisions to FILE instead of standard error',
    description:
      'Empties FILE and writes decisions to it instead of standard error. If FILE cannot be written, the run ends.',
  },
  logFormat: {
    name: 'log-format',
    group,
    commands,
    kind: 'value',
    placeholder: 'FORMAT',
    ...choice('text', 'json'),
    summary: 'text or json (text)',
    description:
      'text prints one line for each call, in the manner of strace. json prints one object on each line; the first ' +
      'record describes what was started, the last one how it ended. Readers must ignore members that they do not know.',
  },
  summary: {
    name: 'summary',
    group,
    commands,
    kind: 'switch',
    summary: 'print a table of the calls at the end',
    description:
      'Prints a table at the end: each call, how often it was emulated, refused, failed and continued, and how long it ' +
      'took.',
  },
  showSecrets: {
    name: 'show-secrets',
    group,
    commands: ['run', 'exec', 'explain'],
    kind: 'switch',
    summary: 'show passwords in what is reported',
    description:
      'Shows passwords, tokens and keys in mount data, URLs and command lines. Without this flag every output has *** ' +
      'instead.',
  },
  quiet: {
    name: 'quiet',
    char: 'q',
    group,
    commands,
    kind: 'switch',
    summary: 'print nothing of our own on standard error but errors',
    description: 'Prints nothing on standard error except errors. --log-file is still written.',
  },
  manifest: {
    name: 'manifest',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    parse: parsePath,
    withPath: wholePath,
    summary: 'write what was made for the container to FILE, as JSON',
    description:
      'At the end, FILE lists every device node, mount and attribute that was emulated and still exists, with its path, ' +
      'numbers, mode, owner and strategy. FILE is replaced in one step. It has room for about 100,000; if there are ' +
      'more, the run ends with an error.',
  },
  failOn: {
    name: 'fail-on',
    group,
    commands,
    kind: 'value',
    placeholder: 'WHAT',
    ...choice('refused'),
    summary: 'refused: exit 3 when a call was refused although the command succeeded',
    description:
      'With `refused`, the exit status is 3 when the command succeeds although one of its calls was refused.',
  },
} as const satisfies Readonly<Record<string, Flag>>

export const outputFlags: readonly Flag[] = Object.values(output)
