// Where debootstrap should fetch from on this machine.

import {spawnSync} from 'node:child_process'

/** The mirror that apt uses for the suite here, where this is a Debian; undefined: debootstrap's own default. */
export function mirrorOfThisMachine(suite) {
  const format = '$(REPO_URI)|$(CODENAME)|$(COMPONENT)'
  const {stdout} = spawnSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    encoding: 'utf8',
  })
  for (const line of (stdout ?? '').split('\n')) {
    const [uri = '', codename, component] = line.split('|')
    if (codename === suite && component === 'main' && /^https?:/u.test(uri)) return uri.replace(/\/$/u, '')
  }
  return undefined
}
