// Flags that say which configuration file counts.

import type {Flag} from './index.js'

const group = 'Configuration'
const commands = ['run', 'explain', 'check'] as const

export const configurationFlags: readonly Flag[] = [
  {
    name: 'config',
    group,
    commands,
    kind: 'value',
    placeholder: 'FILE',
    summary: 'use this configuration file instead of the one found',
    description:
      'FILE, in YAML or JSON, is used instead of the configuration file that is found. Its keys are the names of these ' +
      'flags; flags win. What `lxc config show` and `incus config show` print is taken as well.',
  },
  {
    name: 'no-config',
    group,
    commands,
    kind: 'switch',
    summary: 'use no configuration file',
    description: 'No configuration file is looked for.',
  },
]
