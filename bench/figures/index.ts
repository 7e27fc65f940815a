// All figures, in the order in which they are measured and shown.

import type {Figure} from '../figure.js'
import {roundTrip} from './round-trip.js'

export const FIGURES: readonly Figure[] = [roundTrip]
