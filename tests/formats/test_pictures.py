"""What is exported is drawn without a screen, and the picture shows what is in it.

The island of heat is at 45 N, 90 E: a picture has to be warmest there, in the left half
and above the middle; drawn upside down, mirrored or from wrong values it is not.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import image

from climorch import Campaign
from tests.formats.island import PLACE, heat, results_path

pytestmark = pytest.mark.benchmark

Pixels = npt.NDArray[np.float64]

# By somebody who has no climorch: plain xarray on the results where they lie.
DRAW = """
import sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import xarray as xr
assert "climorch" not in sys.modules
axes = plt.figure(figsize=(7.2, 3.6), dpi=100).add_axes((0, 0, 1, 1))
field = xr.open_zarr(sys.argv[1])["tas"].isel(time=-1)
field.plot(ax=axes, add_colorbar=False, cmap="gray")
assert axes.get_xlabel() == "longitude [degrees_east]", axes.get_xlabel()
plt.savefig(sys.argv[2])
"""


def brightest(pixels: Pixels) -> dict[str, float]:
    """Where the bright pixels of a map of the whole world are, in degrees."""
    bright = pixels > pixels.min() + 0.8 * (pixels.max() - pixels.min())
    rows, columns = np.nonzero(bright)
    height, width = pixels.shape
    return {
        "lat": float(90 - 180 * (rows.mean() + 0.5) / height),
        "lon": float(360 * (columns.mean() + 0.5) / width),
    }


def shows_the_island(pixels: Pixels) -> bool:
    """Whether a map is bright at the place of the island, and dark elsewhere."""
    share = (pixels > pixels.min() + 0.8 * np.ptp(pixels)).mean()
    if not 0.002 < share < 0.05:
        return False
    found = brightest(pixels)
    return all(abs(found[axis] - at) < 5 for axis, at in PLACE.items())


def test_plain_xarray_draws_results_in_a_process_without_climorch(
    campaign: Campaign, tmp_path: Path
) -> None:
    """In one line, from where they lie; axes are named by what CF says of them."""
    picture = tmp_path / "map.png"
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", DRAW),
            *(str(results_path(campaign, "warm")), str(picture)),
        ],
        check=True,
        cwd=tmp_path,
    )
    drawn: Pixels = image.imread(picture)[..., 0].astype(float)
    assert drawn.shape == (360, 720)
    assert shows_the_island(drawn)
    # A test of the test: other pictures are told from this one.
    for wrong in (drawn[::-1], drawn[:, ::-1], 1 - drawn, np.zeros_like(drawn)):
        assert not shows_the_island(wrong)


def vtk(module: str) -> Any:
    """Import a module of VTK, or skip the test loudly."""
    if importlib.util.find_spec("vtkmodules") is None:
        pytest.skip("vtk is not installed: uv run --group formats pytest ...")
    return importlib.import_module(f"vtkmodules.{module}")


def test_vtk_reads_and_draws_the_netcdf(netcdf: Path, tmp_path: Path) -> None:
    """By the reader of CF conventions that ParaView has; no screen is needed."""
    data = vtk("vtkIONetCDF").vtkNetCDFCFReader()
    data.SetFileName(str(netcdf))
    data.SphericalCoordinatesOff()
    data.UpdateInformation()
    names = [
        data.GetVariableArrayName(i) for i in range(data.GetNumberOfVariableArrays())
    ]
    assert names == ["tas"]
    times = data.GetOutputInformation(0).Get(
        vtk("vtkCommonExecutionModel").vtkStreamingDemandDrivenPipeline.TIME_STEPS()
    )
    assert list(times) == [365.0 * (year - 1850) for year in (2001, 2002, 2003)]
    data.UpdateTimeStep(times[-1])

    drawn = rendered(data)
    image.imsave(tmp_path / "map.png", drawn, cmap="gray")

    assert drawn.shape == (360, 720)
    assert shows_the_island(drawn)


def rendered(data: Any) -> Pixels:
    """Draw the points of a dataset from above, dark to bright, on a map."""
    # Registers how it draws.
    vtk("vtkRenderingOpenGL2")
    core, numpy_of = vtk("vtkRenderingCore"), vtk("util.numpy_support").vtk_to_numpy
    points = data.GetOutput().GetPointData()
    points.SetActiveScalars("tas")
    low, high = points.GetArray("tas").GetRange()
    assert (low, high) == (heat("warm", 2).min(), heat("warm", 2).max())
    table = vtk("vtkCommonCore").vtkLookupTable()
    table.SetSaturationRange(0, 0)
    table.SetValueRange(0, 1)
    table.SetHueRange(0, 0)
    table.Build()
    mapper = core.vtkDataSetMapper()
    mapper.SetInputConnection(data.GetOutputPort())
    mapper.SetScalarModeToUsePointData()
    mapper.SetLookupTable(table)
    mapper.SetScalarRange(low, high)
    actor = core.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().LightingOff()
    renderer, window = core.vtkRenderer(), core.vtkRenderWindow()
    renderer.AddActor(actor)
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(180, 0, 0)
    camera.SetPosition(180, 0, 1000)
    camera.SetParallelScale(90)
    window.SetOffScreenRendering(1)
    window.SetSize(720, 360)
    window.AddRenderer(renderer)
    window.Render()
    taken = core.vtkWindowToImageFilter()
    taken.SetInput(window)
    taken.ReadFrontBufferOff()
    taken.Update()
    found: Pixels = numpy_of(taken.GetOutput().GetPointData().GetScalars())
    # VTK has the lowest row first.
    return found[:, 0].reshape(360, 720)[::-1].astype(float)
