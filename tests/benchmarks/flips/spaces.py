"""The families that the benchmarks lay: for small images, for photos, and around ResNet-18."""

from components.models.networks.subnets import Space


def small_image_space(num_classes: int, *, sizes_px: tuple[int, ...] = (32,)) -> Space:
    """The family for images of about 32 px: 87k to 358k parameters for ten classes, a factor 4 in multiply-adds."""
    return Space(
        num_classes=num_classes,
        widths=((24, 28, 32), (40, 48, 56, 64), (56, 72, 88, 96, 112)),
        depths=((1, 2), (1, 2), (1,)),
        kernels=((3, 5), (3,), (3,), (3,)),
        sizes_px=sizes_px,
    )


def photo_space(num_classes: int, *, sizes_px: tuple[int, ...] = (64, 80, 96)) -> Space:
    """The family for photos of 64 to 96 px."""
    return Space(
        num_classes=num_classes,
        widths=((16, 24, 32), (32, 48, 64), (64, 96, 128), (128, 192, 256)),
        depths=((1, 2), (1, 2), (1, 2), (1,)),
        kernels=((3, 5), (3,), (3,), (3,), (3,)),
        sizes_px=sizes_px,
        stem_stride=2,
    )


def resnet_space(num_classes: int, *, sizes_px: tuple[int, ...] = (32,)) -> Space:
    """ResNet-18 for small images (He et al. 2016, a stem of 3x3 at stride 1), 11 million parameters, and wider ones."""
    return Space(
        num_classes=num_classes,
        widths=tuple((width, width * 5 // 4, width * 3 // 2) for width in (64, 128, 256, 512)),
        depths=((2,),) * 4,
        kernels=((3,),) * 5,
        sizes_px=sizes_px,
    )
