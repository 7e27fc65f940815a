// All figures, in the order in which they are measured and shown.

import type {Figure} from '../figure.js'
import {concurrency} from './concurrency.js'
import {families} from './families.js'
import {log} from './log.js'
import {memory} from './memory.js'
import {mknod} from './mknod.js'
import {noise} from './noise.js'
import {PEERS} from './peers.js'
import {roundTrip} from './round-trip.js'
import {sysinfo} from './sysinfo.js'

const OWN: readonly Figure[] = [noise, roundTrip, mknod, sysinfo, concurrency, families, log, memory]

export const FIGURES: readonly Figure[] = [...OWN, ...PEERS]
