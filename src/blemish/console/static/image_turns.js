// Images as they are looked at: turned as their EXIF orientation says. The server turns masks.
// Source: Exif 2.32, section 4.6.4, tag 274.
const TURNS = {
  2: (context, w) => context.transform(-1, 0, 0, 1, w, 0),
  3: (context, w, h) => context.transform(-1, 0, 0, -1, w, h),
  4: (context, w, h) => context.transform(1, 0, 0, -1, 0, h),
  5: (context) => context.transform(0, 1, 1, 0, 0, 0),
  6: (context, w, h) => context.transform(0, 1, -1, 0, h, 0),
  7: (context, w, h) => context.transform(0, -1, -1, 0, h, w),
  8: (context, w) => context.transform(0, -1, 1, 0, 0, w),
};

// a bitmap that is upright, of one as it is stored
export function upright(bitmap, orientation) {
  if (!TURNS[orientation]) return bitmap;
  const { width, height } = bitmap;
  const canvas = orientation > 4 ? new OffscreenCanvas(height, width) : new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  TURNS[orientation](context, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}
