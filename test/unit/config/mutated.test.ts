// Configuration files that are nearly right: an error is always one that a person can act on.

import fc from 'fast-check'

import {configurationKeys} from '../../../src/cli/flags/index.js'
import {checkFileValues} from '../../../src/cli/line/file-values.js'
import {parseConfiguration} from '../../../src/config/document.js'
import {parseDenyRules} from '../../../src/config/lxc-rules.js'
import {parseRawIdMap} from '../../../src/config/raw-idmap.js'
import {interpretConfiguration} from '../../../src/config/read.js'
import {UsageError} from '../../../src/errors.js'
import {RUNS, mutated} from '../../helpers/mutate.js'

const FILES = [
  'mknod: true\nmknod-allow: [c:10:229, /dev/fuse]\nmemory: 512M\ncpus: 1.5\ntrace: refused\n',
  '{"sysinfo": true, "env": {"A": "b", "C": 1}, "uid-map": ["0:100000:65536"], "bind": "/srv:/srv:ro"}\n',
  'config:\n  security.syscalls.intercept.mknod: "true"\n  security.syscalls.deny: |\n    mount errno 1\n    sysinfo\n  raw.idmap: both 1000 1000\n  limits.memory: 1GB\n',
  'architecture: x86_64\ndevices:\n  fuse:\n    type: unix-char\n    path: /dev/fuse\n    mode: "0666"\n  root:\n    type: disk\n    path: /\nprofiles: [default]\n',
  'security.syscalls.intercept.mount: true\nsecurity.syscalls.intercept.mount.allowed: ext4,xfs\nsecurity.syscalls.intercept.mount.fuse: ext4=fuse2fs\n',
  'a: &a [1, 2]\nb: *a\n? complex\n: value\n',
]
const RULES = [
  'mknod errno 38',
  '2',
  'denylist',
  '[all]',
  'mount errno 1 [3,4096,SCMP_CMP_MASKED_EQ,4096]',
  'reject_force_umount',
  'kexec_load kill',
  'ioctl trap [1,21522,==]',
]
const MAPS = ['both 1000 1000', 'uid 50-60 500-510', 'gid 100 200\nuid 0-9 5-14']

describe('nearly right configuration', () => {
  const isOwn = (action: () => unknown): void => {
    try {
      action()
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
    }
  }

  it('is read, or refused in words', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(FILES), async (text) => {
        try {
          const document = parseConfiguration('c.yaml', Buffer.from(text, 'latin1'))
          if (document === undefined) return
          const {values, line} = await interpretConfiguration(document, 'named', configurationKeys, [])
          checkFileValues(values, Object.keys(values), (key) => `c.yaml:${line?.(key) ?? 1}`)
        } catch (error) {
          if (!(error instanceof UsageError)) throw error
        }
      }),
      {numRuns: RUNS},
    )
  }).timeout(120_000)

  it('has rules of LXC and maps that are read, or refused in words', () => {
    const wrong = (cause: string) => new UsageError(cause)
    fc.assert(
      fc.property(mutated(RULES), (text) => isOwn(() => parseDenyRules(text.split('\n'), wrong))),
      {numRuns: RUNS},
    )
    fc.assert(
      fc.property(mutated(MAPS), (text) => isOwn(() => parseRawIdMap(text, wrong))),
      {numRuns: RUNS},
    )
  }).timeout(120_000)
})
