"""What are the images and labels? Datasets, folders of photos, augmentation and directions."""

from lib.data.augmentation import Pipeline, flip_crop
from lib.data.datasets import Dataset, from_arrays, load
from lib.data.fourier_basis import fourier_basis_image, named_direction
from lib.data.photos import Preprocessing
from lib.data.sources import in_data_folder
