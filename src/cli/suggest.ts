// The nearest right word for a wrong one; configuration files need it as well.

export {editDistance, nearest} from '../nearest.js'
