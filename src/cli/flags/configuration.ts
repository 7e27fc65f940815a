// Flags that say which configuration file counts.

import {asTyped} from '../../flag.js'
import type {Flag} from '../../flag.js'

const group = 'Configuration'
const commands = ['run', 'explain', 'check'] as const

export const configuration = {
  file: {
    name: 'config',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    parse: asTyped,
    summary: 'use this configuration file instead of the one found',
    description:
      'FILE, in YAML or JSON, is used instead of the configuration file that is found. Its keys are the names of these ' +
      'flags; flags win. What `lxc config show` and `incus config show` print is taken as well.',
  },
  none: {
    name: 'no-config',
    group,
    commands,
    kind: 'switch',
    summary: 'use no configuration file',
    description: 'No configuration file is looked for.',
  },
} as const satisfies Readonly<Record<string, Flag>>

export const configurationFlags: readonly Flag[] = Object.values(configuration)
