// Paints points on the graphics card (WebGL2): one call a frame, the card keeps the points.

import { scaleOf } from './camera';
import { paintOrder, radiusShares, shades, type Painter } from './cloud';

const maxColours = 16;

const vertexText = `#version 300 es
in vec2 place;
in uvec2 look;  // colour, weight
uniform vec2 offset;
uniform vec2 scale;
uniform float radius[3];
uniform vec3 ink[${3 * maxColours}];
out vec3 colour;
out float size;
void main() {
  gl_Position = vec4(place * scale + offset, 0.0, 1.0);
  size = radius[look.y] * 2.0 + 1.0;
  gl_PointSize = size;
  colour = ink[look.y * ${maxColours}u + look.x];
}`;

const fragmentText = `#version 300 es
precision mediump float;
in vec3 colour;
in float size;
out vec4 result;
void main() {
  float distance = length(gl_PointCoord - 0.5) * size;
  float covered = clamp(size * 0.5 - distance, 0.0, 1.0);
  result = vec4(colour * covered, covered);
}`;

function compile(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, vertexText],
    [gl.FRAGMENT_SHADER, fragmentText],
  ] as const) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

/** Whether the processor plays the graphics card; browsers do not always own up to the caveat. */
function isSoftware(gl: WebGL2RenderingContext): boolean {
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const name = info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : '';
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/** Null where there is no WebGL2, or only a slow one and `slowToo` is not set. */
export function webglPainter(canvas: HTMLCanvasElement, slowToo = false): Painter | null {
  const gl = canvas.getContext('webgl2', {
    antialias: false,
    depth: false,
    failIfMajorPerformanceCaveat: !slowToo,
  });
  if (!gl || (!slowToo && isSoftware(gl))) return null;
  const program = compile(gl);
  if (!program) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (name: string) => gl.getUniformLocation(program, name);
  const [offset, scale, radius, ink] = ['offset', 'scale', 'radius', 'ink'].map(uniform);
  const places = gl.createBuffer();
  const looks = gl.createBuffer();
  const indices = gl.createBuffer();
  let n = 0;

  return {
    kind: 'webgl',
    take(cloud) {
      n = cloud.xs.length;
      const xy = new Float32Array(2 * n);
      const look = new Uint8Array(2 * n);
      for (let i = 0; i < n; i++) {
        xy[2 * i] = cloud.xs[i] ?? 0;
        xy[2 * i + 1] = cloud.ys[i] ?? 0;
        look[2 * i] = Math.min(maxColours - 1, cloud.colours[i] ?? 0);
        look[2 * i + 1] = cloud.weights[i] ?? 0;
      }
      gl.bindBuffer(gl.ARRAY_BUFFER, places);
      gl.bufferData(gl.ARRAY_BUFFER, xy, gl.STATIC_DRAW);
      const place = gl.getAttribLocation(program, 'place');
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0);
      gl.bindBuffer(gl.ARRAY_BUFFER, looks);
      gl.bufferData(gl.ARRAY_BUFFER, look, gl.STATIC_DRAW);
      const at = gl.getAttribLocation(program, 'look');
      gl.enableVertexAttribArray(at);
      gl.vertexAttribIPointer(at, 2, gl.UNSIGNED_BYTE, 0, 0);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, paintOrder(cloud), gl.STATIC_DRAW);
    },
    paint(camera, size, look) {
      gl.viewport(0, 0, size.width, size.height);
      const [r, g, b] = look.ground;
      gl.clearColor(r / 255, g / 255, b / 255, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      const pixels = scaleOf(camera, size);
      const sx = (2 * pixels) / size.width;
      const sy = (2 * pixels) / size.height;
      gl.uniform2f(scale ?? null, sx, sy);
      gl.uniform2f(offset ?? null, -camera.x * sx, -camera.y * sy);
      gl.uniform1fv(
        radius ?? null,
        radiusShares.map((share) => share * look.radius),
      );
      const inks = new Float32Array(9 * maxColours);
      shades(look).forEach((row, weight) =>
        row.slice(0, maxColours).forEach((colour, i) =>
          inks.set(
            colour.map((part) => part / 255),
            3 * (weight * maxColours + i),
          ),
        ),
      );
      gl.uniform3fv(ink ?? null, inks);
      gl.drawElements(gl.POINTS, n, gl.UNSIGNED_INT, 0);
    },
    destroy() {
      gl.getExtension('WEBGL_lose_context')?.loseContext();
    },
  };
}
