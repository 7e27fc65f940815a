#!/usr/bin/env node
require('./load.js').start(process.argv.slice(2))
