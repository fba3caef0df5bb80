#!/bin/sh
# After pip, in an image: take away what no step uses (the packages' own tests, sources for compilers, Arrow's library for RPC, pictures
# and faces that image libraries bring as examples), and
# compile what steps import. A read-only root file system keeps Python from doing that later, and a step would compile its libraries at
# each start. Left out are big packages that few steps import.
set -eu
packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$packages" -depth -type d \( -name tests -o -name test \) -exec rm -rf {} +
find "$packages" -type f \( -name '*.pyx' -o -name '*.pxd' \) -delete
rm -rf "$packages"/pyarrow/include "$packages"/pyarrow/libarrow_flight* "$packages"/pyarrow/libarrow_python_flight* \
    "$packages"/pyarrow/_flight*
find "$packages"/cv2/data "$packages"/skimage/data -type f ! -name '*.py' ! -name '*.pyi' -delete 2>/dev/null || true
python -m compileall -q -j 0 -x '/(aiohttp|botocore|databricks|fontTools|kubernetes|networkx|numba/cuda|sqlalchemy|tifffile|transformers/models|wcwidth|werkzeug)/' "$packages"
