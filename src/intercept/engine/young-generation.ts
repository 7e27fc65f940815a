// Bounds what V8 keeps for objects that die young.

import {setFlagsFromString} from 'node:v8'

/**
 * From now on the young generation of each heap stays as large as it is. V8 would double it again and again, up to 48 MB
 * for this thread, as soon as records that wait to be written outlive a collection; that they do is no sign of a need
 * (NewSpace::Grow() in src/heap/new-spaces.cc of V8 11.3, Node 20's,
 * reads the factor each time; a later V8 may not take less than 2, and goes on as before). Code that was kept for other flags is
 * refused from now on (bin/load.js), so that a run which logs little is better left alone.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
