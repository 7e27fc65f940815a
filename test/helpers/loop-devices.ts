// Loop devices that a test may have left behind, among those of everybody else on the machine.

import {until} from './processes.js'
import {succeed} from './program.js'

/** Containers with images of their own end within the time that a test may take. */
const OTHERS_END_MS = 60_000

interface Loop {
  /** Device and file: numbers are given again. */
  readonly key: string
  readonly file: string
}

/**
 * After a run: fails where a loop device is set up over a file below `directory`, or stays set up over memory that stands
 * in for an image. Of the latter other runs have some too, which go when those end.
 */
export async function leavesNoLoopDevice(directory: string): Promise<void> {
  const ours = loops().filter(({file}) => file.startsWith(`${directory}/`))
  if (ours.length > 0) throw new Error(`left set up: ${ours.map(({key, file}) => `${key} ${file}`).join(', ')}`)
  const standIns = loops().filter(({file}) => file.includes('memfd:interceptor-loop'))
  const areGone = () => !loops().some(({key}) => standIns.some((each) => each.key === key))
  await until(areGone, `no loop device of these is set up: ${standIns.map(({key}) => key).join(', ')}`, OTHERS_END_MS)
}

function loops(): readonly Loop[] {
  const lines = succeed({}, 'losetup', '--raw', '-n', '-O', 'NAME,BACK-INO,BACK-FILE').split('\n')
  return lines.flatMap((line) => {
    const [name, inode, ...file] = line.split(' ')
    return name === undefined || inode === undefined ? [] : [{key: `${name} ${inode}`, file: file.join(' ')}]
  })
}
