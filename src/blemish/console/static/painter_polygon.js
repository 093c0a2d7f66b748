// The polygon of the painter: its corners are moved, added and removed, before it is closed and after,
// until another stroke, another tool or Esc.

const NEAR = 10; // of a corner or a side: a press there means it, in pixels of the page

// methods of the painter; `shape` is the closed polygon: {points: [x, y, ...], type, state}
export const POLYGON_METHODS = {
  closePolygon() {
    if (this.points.length >= 6 && this.type) {
      this.mask.polygon(this.points, this.type);
      this.finish();
      this.shape = { points: this.points, type: this.type, state: this.mask.state };
    }
    this.points = [];
    this.sketch();
  },
  dropPolygon() {
    this.points = [];
    this.shape = null;
    this.sketch();
  },
  // the corners that can be moved
  corners() {
    if (this.points.length) return this.points;
    return this.shape && this.shape.state === this.mask.state ? this.shape.points : [];
  },
  // press the polygon tool down; tell whether a corner is dragged from now on
  beginCorner(point, removes) {
    const points = this.corners();
    const isClosed = points !== this.points;
    const reach = (NEAR * devicePixelRatio) / this.view.scale;
    let corner = nearestCorner(points, point, reach);
    if (corner >= 0 && removes) {
      if (isClosed && points.length <= 6) return false;
      points.splice(corner, 2);
      if (isClosed) this.reshape();
    } else if (corner >= 0) {
      this.cornered = { corner, points, moved: false };
    } else if (isClosed && (corner = nearestSide(points, point, reach)) >= 0) {
      points.splice(corner, 0, ...point);
      this.cornered = { corner, points, moved: true };
    } else {
      this.shape = null;
      this.points.push(...point);
    }
    this.sketch();
    return this.cornered !== null;
  },
  moveCorner(point) {
    const { corner, points } = this.cornered;
    if (points[corner] === point[0] && points[corner + 1] === point[1]) return;
    [points[corner], points[corner + 1]] = point;
    this.cornered.moved = true;
  },
  // press the tool up: to press on the first corner closes the polygon
  endCorner() {
    const { corner, points, moved } = this.cornered;
    this.cornered = null;
    if (points === this.shape?.points) {
      if (moved) this.reshape();
    } else if (!moved && corner === 0) {
      this.closePolygon();
    }
    this.sketch();
  },
  reshape() {
    const { shape, mask } = this;
    if (mask.state !== shape.state) return;
    mask.undo();
    const before = mask.state;
    mask.polygon(shape.points, shape.type);
    this.finish();
    shape.state = mask.state;
    if (mask.state === before) this.shape = null; // nothing of it is left in the image
  },
};

function nearestCorner(points, [x, y], reach) {
  let [best, nearest] = [-1, reach];
  for (let i = 0; i < points.length; i += 2) {
    const distance = Math.hypot(points[i] - x, points[i + 1] - y);
    if (distance <= nearest) [best, nearest] = [i, distance];
  }
  return best;
}

// where a new corner goes into the list, if a point is on a side
function nearestSide(points, [x, y], reach) {
  for (let i = 0; i < points.length; i += 2) {
    const j = (i + 2) % points.length;
    const [ax, ay, bx, by] = [points[i], points[i + 1], points[j], points[j + 1]];
    const [dx, dy] = [bx - ax, by - ay];
    const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    if (Math.hypot(ax + along * dx - x, ay + along * dy - y) <= reach) return i + 2;
  }
  return -1;
}
