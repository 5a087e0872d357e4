// Prints what a visitor could download in all, compressed, and fails above the limit.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const limit = 400_000;
const folder = fileURLToPath(new URL('../../build/web', import.meta.url));
const compressed = new Set(['.js', '.css', '.html', '.svg', '.json']);

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
const total = files.reduce((sum, file) => {
  const bytes = readFileSync(file);
  return sum + (compressed.has(extname(file)) ? gzipSync(bytes).length : bytes.length);
}, 0);

console.log(
  `${files.length} files, ${(total / 1000).toFixed(1)} kB compressed, limit ${limit / 1000} kB`,
);
if (total > limit) process.exit(1);
