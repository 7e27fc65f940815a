#!/usr/bin/env node
require('./load.js')('main').main(process.argv.slice(2))
