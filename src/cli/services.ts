// What the commands hand over to, loaded when it is needed.

import type {RunService} from './start.js'

export async function loadRunService(): Promise<RunService> {
  const {runContainer} = await import('../container/run.js')
  return {run: runContainer}
}
