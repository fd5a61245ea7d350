/* run.mjs [TEXT] - all tests of the page, or those whose name has that text. */
import { runAll } from './lab.mjs';

for (const topic of ['story', 'live', 'events', 'clocks', 'views', 'files', 'reach', 'speed'])
  await import(`./${topic}.mjs`);
process.exitCode = await runAll(process.argv[2]) ? 0 : 1;
