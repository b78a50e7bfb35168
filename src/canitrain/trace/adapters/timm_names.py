"""timm's names as their papers write them, and what people type: the classifiers that ship with canitrain."""

from __future__ import annotations

TITLES = {
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnet152": "ResNet-152",
    "resnext50_32x4d": "ResNeXt-50 32x4d",
    "wide_resnet50_2": "Wide ResNet-50-2",
    "vgg16": "VGG-16",
    "densenet121": "DenseNet-121",
    "mobilenetv2_100": "MobileNetV2",
    "mobilenetv3_large_100": "MobileNetV3-Large",
    "efficientnet_b0": "EfficientNet-B0",
    "efficientnet_b1": "EfficientNet-B1",
    "efficientnet_b2": "EfficientNet-B2",
    "efficientnet_b3": "EfficientNet-B3",
    "efficientnet_b4": "EfficientNet-B4",
    "tf_efficientnetv2_s": "EfficientNetV2-S",
    "convnext_tiny": "ConvNeXt-T",
    "convnext_small": "ConvNeXt-S",
    "convnext_base": "ConvNeXt-B",
    "regnety_032": "RegNetY-3.2GF",
    "inception_v3": "Inception v3",
    "vit_tiny_patch16_224": "ViT-Ti/16",
    "vit_small_patch16_224": "ViT-S/16",
    "vit_base_patch16_224": "ViT-B/16",
    "deit_small_patch16_224": "DeiT-S/16",
    "swin_tiny_patch4_window7_224": "Swin-T",
}
"""In the order in which they are traced."""

_ALIASES = {
    "mobilenetv2_100": ("mobilenet_v2", "mobilenetv2"),
    "mobilenetv3_large_100": ("mobilenet_v3_large", "mobilenetv3_large"),
    "tf_efficientnetv2_s": ("efficientnetv2_s", "efficientnet_v2_s"),
    "regnety_032": ("regnet_y_3_2gf",),
    "resnet50": ("resnet",),
    "vit_tiny_patch16_224": ("vit_tiny",),
    "vit_small_patch16_224": ("vit_small",),
    "vit_base_patch16_224": ("vit", "vit_base", "vit_b_16"),
    "deit_small_patch16_224": ("deit_small",),
    "swin_tiny_patch4_window7_224": ("swin_tiny", "swin_t"),
}
"""Short names, and torchvision's."""


def alias_of(name: str) -> tuple[str, ...]:
    """Other names of timm's ``name``; none where nobody uses any."""
    return _ALIASES.get(name, ())
